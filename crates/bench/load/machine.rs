//! This machine, and the resources that its processes have used, from Linux' `/proc`.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Clock ticks a second in `/proc/*/stat`, on x86-64 and arm64.
const TICKS: f64 = 100.0;

/// One line: cores, processor, memory, kernel, PostgreSQL's version.
pub fn describe(postgres_bin: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = megabytes("/proc/meminfo", "MemTotal") / 1024.0;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = Command::new(postgres_bin.join("postgres")).arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    format!("{cores} cores ({processor}), {memory:.0} GiB, Linux {}, {}, fsync on", kernel.trim(), version.trim())
}

/// Seconds of processor time.
pub fn cpu_seconds(pid: u32) -> f64 {
    ticks(pid, 2) / TICKS
}

/// The same, with the children: for PostgreSQL, which has a process for each connection.
pub fn cpu_seconds_with_children(pid: u32) -> f64 {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children = processes.filter(|child| field(*child, 1) == Some(f64::from(pid)));
    (ticks(pid, 4) + children.map(|child| ticks(child, 2)).sum::<f64>()) / TICKS
}

/// Resident memory in megabytes: now, and the most.
pub fn resident(pid: u32) -> (f64, f64) {
    let status = format!("/proc/{pid}/status");
    (megabytes(&status, "VmRSS"), megabytes(&status, "VmHWM"))
}

/// User and system time; with four fields also that of children that have ended.
fn ticks(pid: u32, fields: usize) -> f64 {
    (11..11 + fields).filter_map(|at| field(pid, at)).sum()
}

/// The number at this position after the process's name, which can contain spaces; 0 is the state.
fn field(pid: u32, at: usize) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(at)?.parse().ok()
}

fn megabytes(file: &str, name: &str) -> f64 {
    let kilobytes = line_of(file, name).and_then(|value| value.trim_end_matches(" kB").trim().parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) / 1024.0
}

fn line_of(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
