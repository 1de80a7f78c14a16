//! Methods that set one field of an options type each. The types are `#[non_exhaustive]`, so that other crates cannot write
//! them as literals, and a new option breaks no caller.

/// Writes `with_x(x)` for every field `x` that is listed.
macro_rules! setters {
    ($($method:ident($field:ident: $type:ty);)*) => {
        $(
            #[doc = concat!("The same with this `", stringify!($field), "`.")]
            #[must_use]
            pub fn $method(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            }
        )*
    };
}
