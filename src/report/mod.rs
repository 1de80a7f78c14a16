//! Pictures for people: what the filters of a layer look for, what a layer answers to a picture, and the best five answers to
//! a photograph.
//!
//! `canvas` draws, `tiles` lays out many small pictures of numbers, `filters` and `panel` say what is shown. Nothing here
//! runs a network or writes a file: numbers come in, PNG bytes go out.

mod canvas;
mod filters;
mod panel;
mod tiles;

pub use canvas::{Canvas, Colour, Font, Picture};
pub use filters::filters;
pub use panel::{Panel, sheet};
pub use tiles::{Scale, Sheet, Tiles, TilesLayout, range};
