//! Pictures for people: what the filters of a layer look for, what a layer answers to a picture, and the best five answers to
//! a photograph.
