//! Draws what was sampled over time, as SVG: two panels in a row.

use std::fmt::Write as _;

/// Points are minutes and values.
pub struct Series {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 170.0;
/// Around the line: the name is above, the numbers are at the left and below.
const TOP: f64 = 28.0;
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 24.0;
const RIGHT: f64 = 24.0;

const STYLE: &str = "text{font:12px sans-serif;fill:#333}.name{font-weight:bold}.axis{stroke:#bbb}\
                     polyline{fill:none;stroke:#1668b8;stroke-width:1.5}\
                     @media(prefers-color-scheme:dark){text{fill:#ccc}.axis{stroke:#555}polyline{stroke:#6db3f2}}";

pub fn svg(series: &[Series]) -> String {
    let rows = series.len().div_ceil(2) as f64;
    let (width, height) = (WIDTH * 2.0, HEIGHT * rows);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\"><style>{STYLE}</style>\n"
    );
    for (at, series) in series.iter().enumerate() {
        let (x, y) = ((at % 2) as f64 * WIDTH, (at / 2) as f64 * HEIGHT);
        let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">{}</g>", panel(series));
    }
    svg + "</svg>\n"
}

fn panel(Series { name, points }: &Series) -> String {
    let end = points.last().map_or(1.0, |point| point.0);
    let top = nice(points.iter().map(|point| point.1).fold(0.0, f64::max));
    let x = |minutes: f64| LEFT + minutes / end * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
    let mut panel = format!("<text class=\"name\" x=\"{LEFT}\" y=\"16\">{name}</text>");
    for value in [0.0, top / 2.0, top] {
        let (at, right) = (y(value), WIDTH - RIGHT);
        let _ = write!(
            panel,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    for part in [0.0, 0.5, 1.0] {
        let (at, below) = (x(end * part), HEIGHT - 8.0);
        let _ = write!(panel, "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{:.0} min</text>", end * part);
    }
    let line: Vec<String> = points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
    let _ = write!(panel, "<polyline points=\"{}\"/>", line.join(" "));
    panel
}

/// The next larger 1, 2, 4, 6 or 8 of a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-9).log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].into_iter().map(|factor| factor * power).find(|top| *top >= value).unwrap_or(value)
}
