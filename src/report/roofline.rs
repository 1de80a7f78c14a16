//! The roofline chart (Williams, Waterman, Patterson, CACM 52(4), 2009): the throughput of operators over their arithmetic
//! intensity, below the ceilings of compute and memory bandwidth. Both axes are logarithmic.

use super::axis::LogAxis;
use super::marks::shape;
use super::svg::{Anchor, Svg};
use super::text::shortened;

/// A compute ceiling.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    pub label: String,
    /// Floating-point operations per second.
    pub flops: f64,
}

/// One timed operator.
#[derive(Clone, Debug, PartialEq)]
pub struct RooflinePoint {
    /// Name of its layer.
    pub label: String,
    /// Name of its operator, which determines colour and shape.
    pub kind: String,
    pub flops: u64,
    pub bytes: u64,
    pub seconds: f64,
}

/// The content of a roofline chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Roofline {
    pub title: String,
    /// Lines below the title, in a smaller font.
    pub notes: Vec<String>,
    pub ceilings: Vec<Ceiling>,
    /// Memory bandwidth in bytes per second.
    pub bandwidth: f64,
    pub points: Vec<RooflinePoint>,
}

const WIDTH: f64 = 1120.0;
const PLOT: f64 = 760.0;
const LEFT: f64 = 76.0;
const PLOT_HEIGHT: f64 = 480.0;
/// Most operators in the legend.
const LEGEND: usize = 24;
/// Most points with a label beside them; the others only have a tooltip.
const NAMED: usize = 12;
const STYLE: &str = "\
    .t, .n { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round } \
    @media (prefers-color-scheme: dark) { .paper { fill: #14171a } .grid { stroke: #333a40 } .roof { stroke: #e6e6e6 } \
    .mark { stroke: #14171a } .t { fill: #e6e6e6 } .n { fill: #a9b0b6 } .t, .n { stroke: #14171a } }";

/// A rectangle: left, top, right, bottom.
type Rect = [f64; 4];

struct Chart<'a> {
    roofline: &'a Roofline,
    svg: Svg,
    x: LogAxis,
    y: LogAxis,
    /// Operators with their total time, the longest first.
    kinds: Vec<(&'a str, f64)>,
    total: f64,
    /// Rectangles that labels must not overlap.
    taken: Vec<Rect>,
}

impl Roofline {
    /// Draws the chart as an SVG file.
    pub fn svg(&self) -> String {
        let top = 52.0 + 17.0 * self.notes.len() as f64;
        let total: f64 = self.points.iter().map(|point| point.seconds).sum();
        let mut kinds: Vec<(&str, f64)> = Vec::new();
        for point in &self.points {
            match kinds.iter_mut().find(|(kind, _)| *kind == point.kind) {
                Some((_, seconds)) => *seconds += point.seconds,
                None => kinds.push((&point.kind, point.seconds)),
            }
        }
        kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
        let highest = self.ceilings.iter().map(|ceiling| ceiling.flops).fold(0.0, f64::max);
        let ridge = highest / self.bandwidth;
        let intensities = self.points.iter().filter_map(intensity).chain([ridge, ridge * 3.0]);
        let x = LogAxis::new(intensities, 0.02, LEFT, PLOT);
        let reached = self.points.iter().map(|point| height(point, x.low()));
        let peaks = self.ceilings.iter().map(|ceiling| ceiling.flops);
        let y = LogAxis::new(reached.chain(peaks), highest * 2e-5, top + PLOT_HEIGHT, -PLOT_HEIGHT);
        let mut chart = Chart { roofline: self, svg: Svg::default(), x, y, kinds, total, taken: Vec::new() };
        let height = top + PLOT_HEIGHT + 56.0;
        chart.svg.rect("paper", 0.0, 0.0, WIDTH, height, "#ffffff");
        chart.head();
        chart.axes(top);
        chart.ceilings();
        chart.points();
        chart.legend(top);
        chart.svg.finish(WIDTH, height, &self.title, STYLE)
    }
}

/// Floating-point operations per byte; `None` for an operator without arithmetic.
fn intensity(point: &RooflinePoint) -> Option<f64> {
    (point.flops > 0).then(|| point.flops as f64 / (point.bytes.max(1)) as f64)
}

/// Operations per second. An operator without arithmetic is drawn at the intensity `left`, as far below the bandwidth line
/// as its bytes per second.
fn height(point: &RooflinePoint, left: f64) -> f64 {
    match point.flops {
        0 => left * point.bytes as f64 / point.seconds,
        flops => flops as f64 / point.seconds,
    }
}

impl Chart<'_> {
    fn head(&mut self) {
        self.svg.text("t", [20.0, 28.0], Anchor::Start, 17.0, 0.0, &self.roofline.title);
        for (number, note) in self.roofline.notes.iter().enumerate() {
            let y = 48.0 + 17.0 * number as f64;
            self.svg.text("n", [20.0, y], Anchor::Start, 12.0, 0.0, note);
        }
    }

    fn axes(&mut self, top: f64) {
        let (right, bottom) = (LEFT + PLOT, top + PLOT_HEIGHT);
        for (x, name) in self.x.ticks(1.0) {
            self.svg.line("grid", [x, top], [x, bottom], "#dddddd", 1.0);
            self.svg.text("n", [x, bottom + 18.0], Anchor::Middle, 12.0, 0.0, &name);
        }
        for (y, name) in self.y.ticks(1e9) {
            self.svg.line("grid", [LEFT, y], [right, y], "#dddddd", 1.0);
            self.svg.text("n", [LEFT - 8.0, y + 4.0], Anchor::End, 12.0, 0.0, &name);
        }
        let middle = (LEFT + right) / 2.0;
        let label = "floating-point operations per byte";
        self.svg.text("t", [middle, bottom + 40.0], Anchor::Middle, 13.0, 0.0, label);
        let y = (top + bottom) / 2.0;
        self.svg.text("t", [22.0, y], Anchor::Middle, 13.0, -90.0, "GFLOP/s");
    }

    fn ceilings(&mut self) {
        let highest = self.roofline.ceilings.iter().map(|ceiling| ceiling.flops).fold(0.0, f64::max);
        let bandwidth = self.roofline.bandwidth;
        // The bandwidth line rises from the left or lower edge to the highest ceiling.
        let from = self.x.low().max(self.y.low() / bandwidth);
        let to = (highest / bandwidth).min(self.x.high());
        let (start, end) =
            ([self.x.at(from), self.y.at(from * bandwidth)], [self.x.at(to), self.y.at(to * bandwidth)]);
        self.svg.line("roof", start, end, "#222222", 2.0);
        for ceiling in &self.roofline.ceilings {
            let y = self.y.at(ceiling.flops);
            let from = self.x.at((ceiling.flops / bandwidth).max(self.x.low()));
            let width = if ceiling.flops == highest { 2.0 } else { 1.0 };
            self.svg.line("roof", [from, y], [LEFT + PLOT, y], "#222222", width);
        }
    }

    /// Writes the label of the bandwidth line along it, where no point is.
    fn bandwidth_label(&mut self) {
        let slope = (self.y.step().abs() / self.x.step()).atan();
        let (label, width) = shortened(&format!("{:.1} GB/s, a copy", self.roofline.bandwidth / 1e9), 40);
        let low = self.x.low().max(self.y.low() / self.roofline.bandwidth);
        let start = [self.x.at(low), self.y.at(low * self.roofline.bandwidth)];
        let highest = self.roofline.ceilings.iter().map(|ceiling| ceiling.flops).fold(0.0, f64::max);
        let length =
            (self.x.at((highest / self.roofline.bandwidth).min(self.x.high())) - start[0]) / slope.cos();
        // Four small rectangles along the line instead of a large one around it.
        let areas = |share: f64| {
            [-0.5, -0.17, 0.17, 0.5].map(|part| {
                let along = share * length + part * width;
                let (x, y) = (start[0] + along * slope.cos(), start[1] - along * slope.sin() - 13.0);
                [x - 12.0, y - 9.0, x + 12.0, y + 9.0]
            })
        };
        let shares = [0.5, 0.3, 0.7, 0.2, 0.8, 0.15, 0.4, 0.6];
        let is_good = |share: &f64| areas(*share).into_iter().all(|area| is_free(&self.taken, area));
        let share = shares.into_iter().find(is_good).unwrap_or(shares[0]);
        self.taken.extend(areas(share));
        let (x, y) = (start[0] + share * length * slope.cos(), start[1] - share * length * slope.sin());
        let (x, y) = (x - 7.0 * slope.sin(), y - 7.0 * slope.cos());
        self.svg.text("n", [x, y], Anchor::Middle, 12.0, -slope.to_degrees(), &label);
    }

    /// Writes the labels of the ceilings above or below one of their ends, where no point is.
    fn ceiling_labels(&mut self) {
        for ceiling in &self.roofline.ceilings {
            let y = self.y.at(ceiling.flops);
            let from = self.x.at((ceiling.flops / self.roofline.bandwidth).max(self.x.low()));
            let label = format!("{:.1} GFLOP/s, {}", ceiling.flops / 1e9, ceiling.label);
            let (label, width) = shortened(&label, 60);
            let width = width * 12.0 / 11.0;
            let (left, right) = (from + 30.0, LEFT + PLOT - 4.0 - width);
            let places = [(right, -6.0), (right, 15.0), (left, 15.0), (left, -6.0)];
            let area = |(left, down): (f64, f64)| [left, y + down - 11.0, left + width, y + down + 3.0];
            let free = places.into_iter().find(|&place| is_free(&self.taken, area(place)));
            let place = free.unwrap_or(places[0]);
            self.taken.push(area(place));
            self.svg.text("n", [place.0, y + place.1], Anchor::Start, 12.0, 0.0, &label);
        }
    }

    fn points(&mut self) {
        let mut order: Vec<&RooflinePoint> = self.roofline.points.iter().collect();
        order.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let mut places = Vec::new();
        for point in &order {
            let x = self.x.at(intensity(point).unwrap_or(self.x.low()));
            let y = self.y.at(height(point, self.x.low()));
            let share = point.seconds / self.total.max(f64::MIN_POSITIVE);
            let radius = 4.0 + 14.0 * share.sqrt();
            self.taken.push([x - radius, y - radius, x + radius, y + radius]);
            places.push([x, y, radius]);
            self.mark(point, [x, y], radius, share);
        }
        self.bandwidth_label();
        self.ceiling_labels();
        for (point, place) in order.iter().zip(places).take(NAMED) {
            self.point_label(&point.label, place);
        }
    }

    /// Draws a point with its tooltip.
    fn mark(&mut self, point: &RooflinePoint, [x, y]: [f64; 2], radius: f64, share: f64) {
        let rank = self.kinds.iter().position(|(kind, _)| *kind == point.kind).unwrap_or(0);
        let tip = format!(
            "{} {}: {:.3} ms, {:.1} % of the time, {:.1} GFLOP/s, {:.1} GB/s{}",
            point.kind,
            point.label,
            point.seconds * 1e3,
            100.0 * share,
            point.flops as f64 / point.seconds / 1e9,
            point.bytes as f64 / point.seconds / 1e9,
            if point.flops == 0 { ", no arithmetic" } else { "" }
        );
        shape(&mut self.svg, "dot mark", rank, [x, y], radius, Some(&tip));
    }

    /// Writes a label beside its point if there is room.
    fn point_label(&mut self, label: &str, [x, y, radius]: [f64; 3]) {
        let (label, width) = shortened(label, 22);
        let gap = radius + 4.0;
        let candidates = [
            (Anchor::Start, [x + gap, y + 4.0], x + gap),
            (Anchor::End, [x - gap, y + 4.0], x - gap - width),
            (Anchor::Middle, [x, y - gap], x - width / 2.0),
            (Anchor::Middle, [x, y + gap + 9.0], x - width / 2.0),
        ];
        for (anchor, at, left) in candidates {
            let area = [left, at[1] - 10.0, left + width, at[1] + 3.0];
            let is_inside = area[0] >= LEFT && area[2] <= LEFT + PLOT;
            if is_inside && is_free(&self.taken, area) {
                self.svg.text("t", at, anchor, 11.0, 0.0, &label);
                self.taken.push(area);
                return;
            }
        }
    }

    fn legend(&mut self, top: f64) {
        let left = LEFT + PLOT + 28.0;
        self.svg.text(
            "t",
            [left - 8.0, top + 4.0],
            Anchor::Start,
            12.0,
            0.0,
            "share of the time, by operator",
        );
        let kinds = std::mem::take(&mut self.kinds);
        for (rank, (kind, seconds)) in kinds.iter().take(LEGEND).enumerate() {
            let y = top + 24.0 + 18.0 * rank as f64;
            shape(&mut self.svg, "mark", rank, [left, y], 5.5, None);
            let share = 100.0 * seconds / self.total.max(f64::MIN_POSITIVE);
            let (name, _) = shortened(kind, 30);
            self.svg.text(
                "t",
                [left + 14.0, y + 4.0],
                Anchor::Start,
                11.0,
                0.0,
                &format!("{share:.1} %  {name}"),
            );
        }
        if kinds.len() > LEGEND {
            let y = top + 28.0 + 18.0 * LEGEND as f64;
            let rest = format!("and {} more", kinds.len() - LEGEND);
            self.svg.text("n", [left + 14.0, y], Anchor::Start, 11.0, 0.0, &rest);
        }
        self.kinds = kinds;
    }
}

fn is_free(taken: &[Rect], area: Rect) -> bool {
    taken.iter().all(|t| area[2] < t[0] || t[2] < area[0] || area[3] < t[1] || t[3] < area[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of the elements in order; panics if they are not nested or an attribute is not closed.
    fn elements(xml: &str) -> Vec<String> {
        let (mut open, mut seen): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
        let body = xml.split_once("?>").expect("a declaration").1;
        for piece in body.split('<').skip(1) {
            let (tag, text) = piece.split_once('>').expect("a tag that ends");
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            for part in [tag, text] {
                let entities = ["amp;", "lt;", "gt;", "quot;"];
                let is_escaped = |rest: &str| entities.iter().any(|entity| rest.starts_with(entity));
                assert!(part.split('&').skip(1).all(is_escaped), "{part}");
            }
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
                continue;
            }
            let name = tag.split([' ', '/']).next().unwrap_or_default();
            seen.push(name.to_string());
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?}");
        seen
    }

    fn chart(points: Vec<RooflinePoint>) -> Roofline {
        Roofline {
            title: "a <network> & \"more\"".into(),
            notes: vec!["a device".into()],
            ceilings: vec![Ceiling { label: "registers".into(), flops: 1e12 }],
            bandwidth: 1e11,
            points,
        }
    }

    #[test]
    fn the_chart_is_well_formed_escapes_names_and_has_a_point_for_each_operator() {
        let point = |number: usize| RooflinePoint {
            label: format!("layer<{number}>&"),
            kind: format!("kind{}", number % 20),
            // The first does no arithmetic; the second is faster than a clock resolves.
            flops: number as u64 * 1_000_000,
            bytes: 50_000,
            seconds: if number == 1 { 1e-9 } else { 1e-3 },
        };
        let svg = chart((0..30).map(point).collect()).svg();
        let names = elements(&svg);
        assert_eq!(names.first().map(String::as_str), Some("svg"));
        assert_eq!(svg.matches("class=\"dot mark\"").count(), 30);
        assert!(svg.contains("layer&lt;7&gt;&amp;") && !svg.contains("<network>"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        let corners = names.iter().filter(|name| *name == "polygon").count();
        assert!(corners > 10, "kinds beyond eight have another shape");
        let empty = chart(Vec::new()).svg();
        elements(&empty);
        assert!(!empty.contains("NaN"));
    }

    #[test]
    fn a_point_at_the_ridge_is_on_the_line() {
        // 10 operations per byte at 1e12 per second: the ridge.
        let ridge = RooflinePoint {
            label: "ridge".into(),
            kind: "k".into(),
            flops: 1_000_000_000,
            bytes: 100_000_000,
            seconds: 1e-3,
        };
        let svg = chart(vec![ridge]).svg();
        let after = |text: &str, key: &str| -> f64 {
            let rest = text.split_once(key).expect(key).1;
            rest.split('"').next().and_then(|value| value.parse().ok()).expect("a number")
        };
        let mark = svg.lines().find(|line| line.contains("dot mark")).expect("a dot");
        let roof = svg.lines().find(|line| line.contains("class=\"roof\"")).expect("the memory's roof");
        assert!((after(mark, "cx=\"") - after(roof, "x2=\"")).abs() < 0.02, "{mark} {roof}");
        assert!((after(mark, "cy=\"") - after(roof, "y2=\"")).abs() < 0.02, "{mark} {roof}");
    }
}
