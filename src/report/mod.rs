//! Pictures for people: what the filters of a layer look for, what a layer answers to a picture, the best five answers to
//! a photograph, and what operators reach of what a device can do.
//!
//! `canvas` draws, `tiles` lays out many small pictures of numbers, `filters` and `panel` say what is shown; `roofline` is a
//! chart, written as text by `svg`. Nothing here runs a network or writes a file: numbers come in, PNG bytes or SVG text go
//! out.

mod axis;
mod canvas;
mod filters;
mod marks;
mod panel;
mod roofline;
mod svg;
mod tiles;

pub use canvas::{Canvas, Colour, Font, Picture};
pub use filters::filters;
pub use panel::{Panel, sheet};
pub use roofline::{Dot, Roof, Roofline};
pub use tiles::{Scale, Sheet, Tiles, TilesLayout, range};
