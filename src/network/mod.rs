//! A network with its weights on a device, for programs that use Striate as a library: load, train on batches, predict, export.
