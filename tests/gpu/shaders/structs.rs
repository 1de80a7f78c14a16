//! Structs that Rust writes and WGSL reads.

use std::mem::offset_of;
use striate::ops::Hyper;
use striate::view::View;
use wgpu::naga;

#[test]
fn hyper_is_the_same_in_wgsl_and_rust() {
    let source = include_str!("../../../shaders/shared/hyper.wgsl");
    let module = naga::front::wgsl::parse_str(source).unwrap();
    let hyper = module.types.iter().find(|(_, t)| t.name.as_deref() == Some("Hyper")).unwrap().1;
    let naga::TypeInner::Struct { members, span } = &hyper.inner else { panic!("Hyper is no struct") };
    macro_rules! members {
        ($($member:ident),*) => {
            [$((stringify!($member), offset_of!(Hyper, $member), kind(&Hyper::default().$member))),*]
        };
    }
    let expected = members![
        rows,
        loss_scale,
        slot,
        accumulate,
        seed_lo,
        seed_hi,
        draw,
        lr,
        momentum,
        beta2,
        eps,
        weight_decay,
        correction1,
        correction2,
        max_norm,
        mix_weight,
        mix_top,
        mix_left,
        mix_bottom,
        mix_right
    ];
    let found: Vec<(&str, usize, &str)> = members
        .iter()
        .map(|m| {
            let kind = match module.types[m.ty].inner {
                naga::TypeInner::Scalar(naga::Scalar::U32) => "u32",
                naga::TypeInner::Scalar(naga::Scalar::F32) => "f32",
                _ => "other",
            };
            (m.name.as_deref().unwrap_or(""), m.offset as usize, kind)
        })
        .collect();
    assert_eq!(found, expected);
    assert_eq!(*span as usize, size_of::<Hyper>());
    assert_eq!(size_of::<Hyper>(), 4 * Hyper::WORDS);
}

#[test]
fn a_view_is_the_same_in_wgsl_and_rust() {
    let module = naga::front::wgsl::parse_str(include_str!("../../../shaders/augment/augment.wgsl")).unwrap();
    let view = module.types.iter().find(|(_, t)| t.name.as_deref() == Some("View")).unwrap().1;
    let naga::TypeInner::Struct { members, span } = &view.inner else { panic!("View is no struct") };
    macro_rules! members {
        ($($member:ident),*) => {
            [$((stringify!($member), offset_of!(View, $member), kind(&View::blank().$member).to_string())),*]
        };
    }
    let expected = members![x, y, cut, colour, gain, bias, recolour, reserved];
    let found: Vec<(&str, usize, String)> = members
        .iter()
        .map(|m| (m.name.as_deref().unwrap_or(""), m.offset as usize, rust_name(&module, m.ty)))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(*span as usize, size_of::<View>());
}

/// What Rust calls a scalar or an array of WGSL.
fn rust_name(module: &naga::Module, ty: naga::Handle<naga::Type>) -> String {
    match &module.types[ty].inner {
        naga::TypeInner::Scalar(naga::Scalar::U32) => "u32".into(),
        naga::TypeInner::Scalar(naga::Scalar::I32) => "i32".into(),
        naga::TypeInner::Scalar(naga::Scalar::F32) => "f32".into(),
        naga::TypeInner::Array { base, size: naga::ArraySize::Constant(count), .. } => {
            format!("[{}; {count}]", rust_name(module, *base))
        }
        other => format!("{other:?}"),
    }
}

/// The name of the type of a member.
fn kind<T>(_: &T) -> &'static str {
    std::any::type_name::<T>()
}
