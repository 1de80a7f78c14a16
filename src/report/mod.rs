//! Images and charts that visualise a network and its training: the filters of a layer, its feature maps for an image, the top
//! five predictions for a photograph, the report of a run, and the roofline of its operators on a device.
//!
//! `canvas` draws pixels, `tiles` lays out many small images, `filters`, `panel` and `mistakes` define their content. `chart` and
//! `classes` are the charts of a run, which the crate `plotters` draws, and `page` is the HTML file around them. `roofline` is a
//! chart that `svg` writes as text, as `plotters` has no tooltips and no colours for a dark screen. Nothing here runs a network or
//! writes a file: numbers come in, PNG bytes, SVG or HTML text go out.

mod axis;
mod canvas;
mod chart;
mod classes;
mod evaluated;
mod filters;
mod heat;
mod marks;
mod mistakes;
mod page;
mod palette;
mod panel;
mod roofline;
mod svg;
mod text;
mod tiles;

pub use canvas::{Canvas, Colour, Font, RgbImage};
pub use chart::{Curve, LineChart, line_charts, line_charts_in_powers};
pub use classes::{ClassScore, ConfusionMatrix, ReliabilityBin, class_bars, reliability};
pub use evaluated::{Evaluated, sample_image};
pub use filters::filters;
pub use heat::{HeatPanel, heat_sheet};
pub use mistakes::{MistakePanel, mistake_sheet};
pub use page::{Block, Page, Section, Thumbnail};
pub use palette::Rgb;
pub use panel::{Panel, panel_sheet};
pub use roofline::{Ceiling, Roofline, RooflinePoint};
pub use tiles::{TileScale, TileSheet, Tiles, TilesLayout, range};
