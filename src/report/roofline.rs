//! The roofline chart (Williams, Waterman, Patterson, CACM 52(4), 2009): what operators reach, over how much arithmetic
//! they do for each byte, under the roofs of arithmetic and memory. Both axes are logarithmic.

use super::axis::Axis;
use super::marks::shape;
use super::svg::{Anchor, Svg};

/// A roof over arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub struct Roof {
    pub label: String,
    /// Floating-point operations per second.
    pub flops: f64,
}

/// One operator that was timed.
#[derive(Clone, Debug, PartialEq)]
pub struct Dot {
    /// Its layer.
    pub label: String,
    /// Its operator; decides colour and shape.
    pub kind: String,
    pub flops: u64,
    pub bytes: u64,
    pub seconds: f64,
}

/// What the chart shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Roofline {
    pub title: String,
    /// Smaller lines below the title.
    pub notes: Vec<String>,
    pub ceilings: Vec<Roof>,
    /// Bytes per second.
    pub bandwidth: f64,
    pub dots: Vec<Dot>,
}

const WIDTH: f64 = 1120.0;
const PLOT: f64 = 760.0;
const LEFT: f64 = 76.0;
const PLOT_HEIGHT: f64 = 480.0;
/// Most kinds in the legend.
const LEGEND: usize = 24;
/// Most dots with their name beside them; the others tell theirs to a pointer.
const NAMED: usize = 12;
const STYLE: &str = "\
    .t, .n { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round } \
    @media (prefers-color-scheme: dark) { .paper { fill: #14171a } .grid { stroke: #333a40 } .roof { stroke: #e6e6e6 } \
    .mark { stroke: #14171a } .t { fill: #e6e6e6 } .n { fill: #a9b0b6 } .t, .n { stroke: #14171a } }";

/// A place that is taken: left, top, right, bottom.
type Area = [f64; 4];

struct Chart<'a> {
    what: &'a Roofline,
    svg: Svg,
    x: Axis,
    y: Axis,
    /// Kinds by their share of the time, largest first.
    kinds: Vec<(&'a str, f64)>,
    total: f64,
    /// Where nothing more may be written.
    taken: Vec<Area>,
}

impl Roofline {
    /// The chart as an SVG file.
    pub fn svg(&self) -> String {
        let top = 52.0 + 17.0 * self.notes.len() as f64;
        let total: f64 = self.dots.iter().map(|dot| dot.seconds).sum();
        let mut kinds: Vec<(&str, f64)> = Vec::new();
        for dot in &self.dots {
            match kinds.iter_mut().find(|(kind, _)| *kind == dot.kind) {
                Some((_, seconds)) => *seconds += dot.seconds,
                None => kinds.push((&dot.kind, dot.seconds)),
            }
        }
        kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
        let highest = self.ceilings.iter().map(|roof| roof.flops).fold(0.0, f64::max);
        let ridge = highest / self.bandwidth;
        let intensities = self.dots.iter().filter_map(intensity).chain([ridge, ridge * 3.0]);
        let x = Axis::new(intensities, 0.02, LEFT, PLOT);
        let reached = self.dots.iter().map(|dot| height(dot, x.low()));
        let roofs = self.ceilings.iter().map(|roof| roof.flops);
        let y = Axis::new(reached.chain(roofs), highest * 2e-5, top + PLOT_HEIGHT, -PLOT_HEIGHT);
        let mut chart = Chart { what: self, svg: Svg::default(), x, y, kinds, total, taken: Vec::new() };
        let height = top + PLOT_HEIGHT + 56.0;
        chart.svg.rect("paper", 0.0, 0.0, WIDTH, height, "#ffffff");
        chart.head();
        chart.axes(top);
        chart.roofs();
        chart.dots();
        chart.legend(top);
        chart.svg.finish(WIDTH, height, &self.title, STYLE)
    }
}

/// Floating-point operations for each byte; none for what does no arithmetic.
fn intensity(dot: &Dot) -> Option<f64> {
    (dot.flops > 0).then(|| dot.flops as f64 / (dot.bytes.max(1)) as f64)
}

/// Operations per second. What does no arithmetic stands at `left`, as high below the memory's roof as its bytes say.
fn height(dot: &Dot, left: f64) -> f64 {
    match dot.flops {
        0 => left * dot.bytes as f64 / dot.seconds,
        flops => flops as f64 / dot.seconds,
    }
}

impl Chart<'_> {
    fn head(&mut self) {
        self.svg.text("t", [20.0, 28.0], Anchor::Start, 17.0, 0.0, &self.what.title);
        for (number, note) in self.what.notes.iter().enumerate() {
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

    fn roofs(&mut self) {
        let highest = self.what.ceilings.iter().map(|roof| roof.flops).fold(0.0, f64::max);
        let bandwidth = self.what.bandwidth;
        // The memory's roof rises with the intensity, from the left or the lower edge to the highest ceiling.
        let from = self.x.low().max(self.y.low() / bandwidth);
        let to = (highest / bandwidth).min(self.x.high());
        let (start, end) =
            ([self.x.at(from), self.y.at(from * bandwidth)], [self.x.at(to), self.y.at(to * bandwidth)]);
        self.svg.line("roof", start, end, "#222222", 2.0);
        for roof in &self.what.ceilings {
            let y = self.y.at(roof.flops);
            let from = self.x.at((roof.flops / bandwidth).max(self.x.low()));
            let width = if roof.flops == highest { 2.0 } else { 1.0 };
            self.svg.line("roof", [from, y], [LEFT + PLOT, y], "#222222", width);
        }
    }

    /// The name of the memory's roof, along it, where the fewest dots are.
    fn bandwidth_name(&mut self) {
        let slope = (self.y.step().abs() / self.x.step()).atan();
        let (label, width) = shortened(&format!("{:.1} GB/s, a copy", self.what.bandwidth / 1e9), 40);
        let low = self.x.low().max(self.y.low() / self.what.bandwidth);
        let start = [self.x.at(low), self.y.at(low * self.what.bandwidth)];
        let highest = self.what.ceilings.iter().map(|roof| roof.flops).fold(0.0, f64::max);
        let length = (self.x.at((highest / self.what.bandwidth).min(self.x.high())) - start[0]) / slope.cos();
        // Four small areas along the line, in place of a large one around it.
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

    /// The names of the ceilings, above or below their right or left ends, wherever no dot is.
    fn roof_names(&mut self) {
        for roof in &self.what.ceilings {
            let y = self.y.at(roof.flops);
            let from = self.x.at((roof.flops / self.what.bandwidth).max(self.x.low()));
            let label = format!("{:.1} GFLOP/s, {}", roof.flops / 1e9, roof.label);
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

    fn dots(&mut self) {
        let mut order: Vec<&Dot> = self.what.dots.iter().collect();
        order.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let mut places = Vec::new();
        for dot in &order {
            let x = self.x.at(intensity(dot).unwrap_or(self.x.low()));
            let y = self.y.at(height(dot, self.x.low()));
            let share = dot.seconds / self.total.max(f64::MIN_POSITIVE);
            let radius = 4.0 + 14.0 * share.sqrt();
            self.taken.push([x - radius, y - radius, x + radius, y + radius]);
            places.push([x, y, radius]);
            self.mark(dot, [x, y], radius, share);
        }
        self.bandwidth_name();
        self.roof_names();
        for (dot, place) in order.iter().zip(places).take(NAMED) {
            self.name(&dot.label, place);
        }
    }

    /// The dot itself, with a text for a pointer.
    fn mark(&mut self, dot: &Dot, [x, y]: [f64; 2], radius: f64, share: f64) {
        let rank = self.kinds.iter().position(|(kind, _)| *kind == dot.kind).unwrap_or(0);
        let tip = format!(
            "{} {}: {:.3} ms, {:.1} % of the time, {:.1} GFLOP/s, {:.1} GB/s{}",
            dot.kind,
            dot.label,
            dot.seconds * 1e3,
            100.0 * share,
            dot.flops as f64 / dot.seconds / 1e9,
            dot.bytes as f64 / dot.seconds / 1e9,
            if dot.flops == 0 { ", no arithmetic" } else { "" }
        );
        shape(&mut self.svg, "dot mark", rank, [x, y], radius, Some(&tip));
    }

    /// A name where there is room for it beside its dot, or none.
    fn name(&mut self, label: &str, [x, y, radius]: [f64; 3]) {
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

fn is_free(taken: &[Area], area: Area) -> bool {
    taken.iter().all(|t| area[2] < t[0] || t[2] < area[0] || area[3] < t[1] || t[3] < area[1])
}

/// At most `most` characters, and about how wide they are at a size of 11.
fn shortened(text: &str, most: usize) -> (String, f64) {
    let count = text.chars().count();
    let short = match count > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_string(),
    };
    (short, 5.9 * count.min(most) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of the elements in order; panics where they are not nested, or an attribute is not closed.
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

    fn chart(dots: Vec<Dot>) -> Roofline {
        Roofline {
            title: "a <network> & \"more\"".into(),
            notes: vec!["a device".into()],
            ceilings: vec![Roof { label: "registers".into(), flops: 1e12 }],
            bandwidth: 1e11,
            dots,
        }
    }

    #[test]
    fn the_chart_is_well_formed_escapes_names_and_has_a_dot_for_each_operator() {
        let dot = |number: usize| Dot {
            label: format!("layer<{number}>&"),
            kind: format!("kind{}", number % 20),
            // The first does no arithmetic, the second takes no time that a clock sees.
            flops: number as u64 * 1_000_000,
            bytes: 50_000,
            seconds: if number == 1 { 1e-9 } else { 1e-3 },
        };
        let svg = chart((0..30).map(dot).collect()).svg();
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
    fn a_dot_on_the_roof_stands_on_its_line() {
        // 10 operations per byte at 1e12 per second: the ridge.
        let ridge = Dot {
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
