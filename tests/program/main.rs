//! Programs and the model files they are compiled from, without a device.

mod blocks;
mod construction;
mod model;
mod model_text;
mod torchvision;
