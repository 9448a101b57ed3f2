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
    let memory = line_of("/proc/meminfo", "MemTotal").and_then(|total| kilobytes(&total)).unwrap_or_default() >> 20;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = Command::new(postgres_bin.join("postgres")).arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    format!("{cores} cores ({processor}), {memory} GiB, Linux {}, {}, fsync on", kernel.trim(), version.trim())
}

/// Seconds of processor time.
pub fn cpu_seconds(pid: u32) -> f64 {
    ticks(pid, 2) / TICKS
}

/// The same, with the children: for PostgreSQL, which has a process for each connection.
pub fn cpu_seconds_with_children(pid: u32) -> f64 {
    let children = processes().filter(|child| field(*child, 1) == Some(f64::from(pid)));
    (ticks(pid, 4) + children.map(|child| ticks(child, 2)).sum::<f64>()) / TICKS
}

/// Seconds of processor time of all processes and the kernel.
pub fn busy_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let numbers = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<f64> = numbers.map_while(|number| number.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq
    [0, 1, 2, 5, 6].iter().filter_map(|at| ticks.get(*at)).sum::<f64>() / TICKS
}

/// Resident memory in megabytes: the current one and the peak.
pub fn resident(pid: u32) -> (f64, f64) {
    let megabytes = |name| {
        let value = line_of(&format!("/proc/{pid}/status"), name).and_then(|value| kilobytes(&value));
        f64::from(u32::try_from(value.unwrap_or_default()).unwrap_or(u32::MAX)) / 1024.0
    };
    (megabytes("VmRSS"), megabytes("VmHWM"))
}

/// Open files and sockets of a process.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
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

fn line_of(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kilobytes(value: &str) -> Option<u64> {
    value.trim_end_matches(" kB").trim().parse().ok()
}
