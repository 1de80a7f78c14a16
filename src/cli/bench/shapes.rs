//! Operators of the user's own shapes for `bench ops`: `--conv 64,192,27,5,1,2`.

use crate::error::{Error, Result};
use crate::ops::{Conv2d, Linear, Op, Pool2d};
use crate::verify::cases::{Case, convolution_cases, linear_cases, pooling_cases};
use clap::Args;

/// Most channels, features, rows and columns: far beyond any network's, and no product of them overflows.
const MOST: usize = 1 << 20;

#[derive(Args, Debug)]
#[command(next_help_heading = "Shapes")]
pub(super) struct ShapeArgs {
    /// Measure a convolution instead of AlexNet's kernels; repeat it for more. SIZE and KERNEL may be HEIGHTxWIDTH
    #[arg(long, value_name = "IN,OUT,SIZE,KERNEL,STRIDE,PADDING[,GROUPS]", value_parser = conv)]
    conv: Vec<Conv2d>,
    /// Measure a linear layer; repeat it for more
    #[arg(long, value_name = "IN,OUT", value_parser = linear)]
    linear: Vec<Linear>,
    /// Measure maximum and average pooling; repeat it for more
    #[arg(long, value_name = "CHANNELS,SIZE,KERNEL,STRIDE[,PADDING]", value_parser = pool)]
    pool: Vec<Pool2d>,
}

impl ShapeArgs {
    /// The kernels of these shapes at `batch`, forward and backward; `None` if there is no shape.
    ///
    /// # Errors
    /// `Error::Usage` if there is more to compute than can be counted.
    pub fn cases(&self, batch: usize) -> Result<Option<Vec<Case>>> {
        let mut cases = Vec::new();
        for d in &self.conv {
            let d = Conv2d { batch, ..*d };
            let outputs = [d.c_out, d.h_out(), d.w_out(), d.depth()];
            check_work(batch, &outputs)?;
            cases.extend(convolution_cases(&conv_name(&d), d));
        }
        for d in &self.linear {
            check_work(batch, &[d.inputs, d.outputs])?;
            cases.extend(linear_cases(&format!("{},{}", d.inputs, d.outputs), Linear { batch, ..*d }));
        }
        for d in &self.pool {
            check_work(batch, &[d.channels, d.h_out(), d.w_out(), d.kernel[0], d.kernel[1]])?;
            cases.extend(pooling_cases(&pool_name(d), Pool2d { batch, ..*d }));
        }
        let mut names = std::collections::BTreeSet::new();
        cases.retain(|case: &Case| names.insert(case.name.clone()));
        Ok((!cases.is_empty()).then_some(cases))
    }
}

/// An error if the product of these numbers is more than any machine computes.
fn check_work(batch: usize, extents: &[usize]) -> Result<()> {
    const MOST: f64 = 1e17;
    let work: f64 = extents.iter().map(|&extent| extent as f64).product::<f64>() * batch as f64;
    if work <= MOST {
        return Ok(());
    }
    let what =
        format!("expected a shape of at most {MOST:.0e} multiply-adds, found {work:.1e} at batch {batch}");
    Err(Error::Usage(what))
}

fn conv_name(d: &Conv2d) -> String {
    let groups = if d.groups == 1 { String::new() } else { format!(",{}", d.groups) };
    let (size, kernel) = (pair([d.h_in, d.w_in]), pair(d.kernel));
    format!("{},{},{size},{kernel},{},{}{groups}", d.c_in, d.c_out, d.stride[0], d.pad[0])
}

fn pool_name(d: &Pool2d) -> String {
    let padding = if d.pad[0] == 0 { String::new() } else { format!(",{}", d.pad[0]) };
    format!("{},{},{},{}{padding}", d.channels, pair([d.h_in, d.w_in]), pair(d.kernel), d.stride[0])
}

fn pair([height, width]: [usize; 2]) -> String {
    if height == width { height.to_string() } else { format!("{height}x{width}") }
}

/// The numbers of a list with names for its items, the last `optional` of which may be left out; a number or
/// HEIGHTxWIDTH for each.
fn numbers(text: &str, names: &[&str], optional: usize) -> Result<Vec<[usize; 2]>, String> {
    let items: Vec<&str> = text.split(',').map(str::trim).collect();
    let least = names.len() - optional;
    if items.len() < least || items.len() > names.len() {
        let count = if optional == 0 { least.to_string() } else { format!("{least} or {}", names.len()) };
        let found = items.len();
        return Err(format!("expected {count} numbers with commas ({}), found {found}", names.join(",")));
    }
    let read = |(name, item): (&&str, &str)| {
        let least = usize::from(*name != "padding");
        let number = |text: &str| text.parse::<usize>().ok().filter(|n| (least..=MOST).contains(n));
        let sides = item.split_once('x').map_or((item, item), |sides| sides);
        let is_pair = item.contains('x');
        match (number(sides.0), number(sides.1)) {
            (Some(h), Some(w)) if !is_pair || ["size", "kernel"].contains(name) => Ok([h, w]),
            _ => Err(format!("{name}: expected a number from {least} to {MOST}, found {item:?}")),
        }
    };
    names.iter().zip(items).map(read).collect()
}

/// An error in one line if an executor could not run `op`.
fn checked(op: &Op) -> Result<(), String> {
    op.check().map_err(|error| {
        let text = error.to_string();
        text.split_once(": ").map_or(text.clone(), |(_, why)| why.to_string())
    })
}

fn conv(text: &str) -> Result<Conv2d, String> {
    let names = ["in", "out", "size", "kernel", "stride", "padding", "groups"];
    let n = numbers(text, &names, 1)?;
    let conv = Conv2d {
        batch: 1,
        c_in: n[0][0],
        h_in: n[2][0],
        w_in: n[2][1],
        c_out: n[1][0],
        kernel: n[3],
        stride: n[4],
        pad: [n[5][0]; 4],
        dilation: [1, 1],
        groups: n.get(6).map_or(1, |groups| groups[0]),
        bias: true,
        relu: true,
    };
    let Conv2d { c_in, c_out, h_in, w_in, kernel, .. } = conv;
    fits(&[c_in, h_in, w_in])?;
    fits(&[c_out, c_in, kernel[0], kernel[1]])?;
    checked(&Op::Conv2dForward(conv))?;
    fits(&[c_out, conv.h_out(), conv.w_out()])?;
    Ok(conv)
}

fn linear(text: &str) -> Result<Linear, String> {
    let n = numbers(text, &["in", "out"], 0)?;
    let linear = Linear { batch: 1, inputs: n[0][0], outputs: n[1][0], bias: true, relu: false };
    fits(&[linear.inputs, linear.outputs])?;
    Ok(linear)
}

fn pool(text: &str) -> Result<Pool2d, String> {
    let n = numbers(text, &["channels", "size", "kernel", "stride", "padding"], 1)?;
    let pool = Pool2d {
        batch: 1,
        channels: n[0][0],
        h_in: n[1][0],
        w_in: n[1][1],
        kernel: n[2],
        stride: n[3],
        pad: [n.get(4).map_or(0, |padding| padding[0]); 4],
        ceil: false,
        count_include_pad: true,
    };
    fits(&[pool.channels, pool.h_in, pool.w_in])?;
    checked(&Op::MaxPool2dForward(pool))?;
    Ok(pool)
}

/// An error if a tensor of these extents has so many elements that a batch of them could not be counted.
fn fits(extents: &[usize]) -> Result<(), String> {
    const ELEMENTS: usize = 1 << 31;
    let elements = extents.iter().try_fold(1usize, |all, &extent| all.checked_mul(extent));
    match elements {
        Some(elements) if elements <= ELEMENTS => Ok(()),
        _ => Err(format!("expected a tensor of at most {ELEMENTS} elements, found {extents:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_read_and_named_as_it_is_written() {
        for text in ["64,192,27,5,1,2", "8,8,9x7,3x1,2,1,8", "3,64,224,11,4,2"] {
            assert_eq!(conv_name(&conv(text).unwrap()), text);
        }
        let d = conv("8,16,9x7,3x1,2,0,4").unwrap();
        assert_eq!((d.h_in, d.w_in, d.kernel, d.stride, d.groups), (9, 7, [3, 1], [2, 2], 4));
        for text in ["64,55,3,2", "4,8,2,2,1"] {
            assert_eq!(pool_name(&pool(text).unwrap()), text);
        }
        assert_eq!(linear("9216, 4096").map(|d| (d.inputs, d.outputs)), Ok((9216, 4096)));
    }

    #[test]
    fn what_is_no_shape_is_refused_in_one_line_that_names_it() {
        let refused = |found: Result<Conv2d, String>, part: &str| {
            let line = found.unwrap_err();
            assert!(line.contains(part) && !line.contains('\n'), "{line}, expected {part}");
        };
        refused(conv("64,192,27"), "expected 6 or 7 numbers with commas (in,out,size,kernel,");
        refused(conv("64,192,27,5,0,2"), "stride: expected a number from 1");
        refused(conv("64,192,27,5x,1,2"), "kernel: expected a number from 1");
        refused(conv("64,192,27,5,1x2,2"), "stride: expected a number");
        refused(conv("64,192,27,5,1,2,7"), "groups must divide 64 input and 192 output channels");
        refused(conv("1,1,3,9,1,0"), "is larger than its input 3x3");
        refused(conv("1048576,1,1048576,1,1,0"), "expected a tensor of at most");
        refused(conv("-1,1,3,1,1,0"), "in: expected a number");
        assert!(pool("4,8,2,2,2").unwrap_err().contains("at most half the kernel"));
        assert!(linear("1048576,1048576").unwrap_err().contains("expected a tensor"));
        assert!(linear("5").unwrap_err().contains("expected 2 numbers"));
        assert!(check_work(1 << 20, &[1 << 20, 1 << 20]).is_err());
    }
}
