//! Images and charts that visualise a network: the filters of a layer, its feature maps for an image, the top five
//! predictions for a photograph, and the roofline of its operators on a device.
//!
//! `canvas` draws pixels, `tiles` lays out many small images, `filters` and `panel` define their content; `roofline` is a
//! chart that `svg` writes as text. Nothing here runs a network or writes a file: numbers come in, PNG bytes or SVG text
//! go out.

mod axis;
mod canvas;
mod filters;
mod marks;
mod panel;
mod roofline;
mod svg;
mod tiles;

pub use canvas::{Canvas, Colour, Font, RgbImage};
pub use filters::filters;
pub use panel::{Panel, panel_sheet};
pub use roofline::{Ceiling, Roofline, RooflinePoint};
pub use tiles::{TileScale, TileSheet, Tiles, TilesLayout, range};
