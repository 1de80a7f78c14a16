//! Formats that are text, streams or messages, and their bad files: images, tables, NPZ and ONNX.

use super::data::{Format, bad};
use crate::lies::{Number, cuts, numbers};
use crate::sound::seed;
use std::path::Path;
use striate::data::{Decoder, Kind, Request, open};
use striate::interchange;

pub fn pictures() -> Vec<Format> {
    let field = |name, at, bytes| Number { name, at, bytes, big_endian: true };
    let png = seed("png", "palette.png");
    let mut lies = Vec::new();
    for number in [
        field("width", 16, 4),
        field("height", 20, 4),
        field("bits", 24, 1),
        field("colours", 25, 1),
        field("compression", 26, 1),
        field("filter", 27, 1),
        field("interlacing", 28, 1),
    ] {
        for (what, mut bytes) in numbers(&png, number) {
            let mut crc = flate2::Crc::new();
            if bytes.len() == png.len() {
                crc.update(&bytes[12..29]);
                bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
            }
            lies.push((what, bytes));
        }
    }
    lies.extend(numbers(&png, field("first chunk's length", 8, 4)));
    lies.extend(numbers(&png, field("second chunk's length", 33, 4)));
    lies.extend(cuts(&png, 0..png.len() - 12));
    let jpeg = seed("jpeg", "ycck.jpg");
    let mut others = Vec::new();
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    for number in [
        field("frame's length", frame + 2, 2),
        field("precision", frame + 4, 1),
        field("height", frame + 5, 2),
        field("width", frame + 7, 2),
        field("components", frame + 9, 1),
        field("sampling", frame + 11, 1),
    ] {
        others.extend(numbers(&jpeg, number));
    }
    others.extend(cuts(&jpeg, 0..jpeg.len()));
    let one = |name, file, lies, forgiving| Format {
        name,
        file,
        beside: Vec::new(),
        bad: bad(lies),
        forgiving,
        read: |path: &Path| Decoder::new().read(path, [3, 8, 8], &mut [0; 192]),
        arguments: &["predict"],
    };
    let little = |name, at, bytes| Number { name, at, bytes, big_endian: false };
    let lies_of = |sound: &[u8], fields: &[Number]| {
        let mut lies: Vec<_> = fields.iter().flat_map(|field| numbers(sound, *field)).collect();
        lies.extend(cuts(sound, 0..sound.len()));
        lies
    };
    let tiff = seed("tiff", "rgb.tif");
    // The first directory is at byte 8: its number of entries, then tag, kind, number of values and value of each.
    let entries = usize::from(u16::from_le_bytes([tiff[8], tiff[9]]));
    let mut fields = vec![little("directory's place", 4, 4), little("number of entries", 8, 2)];
    for at in (0..entries).map(|number| 10 + 12 * number) {
        fields.extend([
            little("tag", at, 2),
            little("kind", at + 2, 2),
            little("number of values", at + 4, 4),
        ]);
        fields.push(little("value", at + 8, 4));
    }
    let tiff = lies_of(&tiff, &fields);
    let bmp = lies_of(
        &seed("bmp", "palette.bmp"),
        &[
            little("pixels' place", 10, 4),
            little("header's length", 14, 4),
            little("width", 18, 4),
            little("height", 22, 4),
            little("planes", 26, 2),
            little("bits", 28, 2),
            little("compression", 30, 4),
            little("colours", 46, 4),
        ],
    );
    let webp = lies_of(
        &seed("webp", "rgb-turned.webp"),
        &[
            little("length", 4, 4),
            little("first chunk's length", 16, 4),
            little("flags", 20, 1),
            little("width", 24, 3),
            little("height", 27, 3),
            little("second chunk's length", 34, 4),
            little("signature", 38, 1),
            little("sides", 39, 4),
        ],
    );
    let gif = seed("gif", "palette.gif");
    let image = gif.windows(9).position(|nine| nine == [0x2c, 0, 0, 0, 0, 13, 0, 9, 0]).unwrap();
    let gif = lies_of(
        &gif,
        &[
            little("width", 6, 2),
            little("height", 8, 2),
            little("palette", 10, 1),
            little("left", image + 1, 2),
            little("top", image + 3, 2),
            little("image's width", image + 5, 2),
            little("image's height", image + 7, 2),
            little("image's flags", image + 9, 1),
            little("bits of a code", image + 10, 1),
            little("first block's length", image + 11, 1),
        ],
    );
    vec![
        one("PNG", "a.png", lies, true),
        one("JPEG", "a.jpg", others, true),
        one("TIFF", "a.tif", tiff, true),
        one("BMP", "a.bmp", bmp, true),
        one("WebP", "a.webp", webp, true),
        one("GIF", "a.gif", gif, true),
    ]
}

pub fn tables() -> Vec<Format> {
    let mut csv: Vec<(String, Vec<u8>)> = Vec::new();
    for field in [
        "",
        "nan",
        "inf",
        "-inf",
        "1e39",
        "0x1",
        "1;2",
        "1 2",
        "\"1",
        "--1",
        "\u{fffd}",
        "1\u{0}",
        "a\u{1b}[31mb",
        "1_0",
    ] {
        for at in 0..3 {
            let mut row = ["1", "2", "0"];
            row[at] = field;
            csv.push((
                format!("{field:?} in column {at}"),
                format!("1,2,0\n{}\n3,4,1\n", row.join(",")).into_bytes(),
            ));
        }
    }
    for (what, text) in [
        ("nothing", ""),
        ("comments", "# a\n# b\n"),
        ("a header only", "a,b,c\n"),
        ("one column", "1\n2\n"),
        ("fewer columns", "1,2,0\n1,2\n"),
        ("more columns", "1,2,0\n1,2,3,0\n"),
        ("no numbers", "a,b\nc,d\ne,f\n"),
        ("a blank row", "1,2,0\n,,\n"),
    ] {
        csv.push((what.into(), text.into()));
    }
    csv.push(("not text".into(), (0..=255).collect()));
    csv.push(("a long field".into(), [&b"1,2,0\n"[..], &[b'9'; 100_000], b",1,1\n"].concat()));
    csv.push(("a long word".into(), [&b"1,2,0\n"[..], &[b'x'; 100_000], b",1,1\n"].concat()));
    vec![Format {
        name: "CSV",
        file: "t.csv",
        beside: Vec::new(),
        bad: bad(csv),
        forgiving: true,
        read: |path| {
            let path = Some(path.to_str().unwrap().into());
            open(&Request::new([2, 1, 1], 2).with_path(path).with_kind(Kind::Csv)).map(drop)
        },
        arguments: &["--dataset", "csv"],
    }]
}

pub fn lists() -> Vec<Format> {
    let row = |row: &str| format!("file,label\na.png,x\n{row}\n");
    let mut bad_lists: Vec<(String, Vec<u8>)> = Vec::new();
    for field in [
        "",
        ".",
        "..",
        "/",
        "../..",
        "nan",
        "?",
        "a|b",
        "[a, b]",
        "\"x",
        "a\u{0}b",
        "x\ry",
        "a\u{1b}[31mb",
        "\u{202e}",
    ] {
        bad_lists.push((format!("{field:?} as a file"), row(&format!("{field},y")).into_bytes()));
        bad_lists.push((format!("{field:?} as a label"), row(&format!("b.png,{field}")).into_bytes()));
    }
    for (what, text) in [
        ("nothing", ""),
        ("comments", "# a\n# b\n"),
        ("a header only", "file,label\n"),
        ("one column", "file\na.png\n"),
        ("fewer columns", "file,label\na.png\n"),
        ("more columns", "file,label\na.png,x,y\n"),
        ("several labels", "file,a,b,c\na.png,1,0,0\n"),
        ("two columns of files", "x,y,label\na.png,b.png,z\n"),
        ("another label", "file,label\na.png,x\na.png,y\n"),
        ("one number in two ways", "file,label\na.png,1\nb.png,1.0\n"),
        ("a fraction", "file,label\na.png,1\nb.png,1.5\n"),
        ("no training part", "file,label,split\na.png,x,val\n"),
        ("a part that is none", "file,label,split\na.png,x,train\na.png,x,moon\n"),
        ("files that are missing", "file,label\nc.png,x\nd.png,y\n"),
        ("boxes", "ImageId,PredictionString\na.png,n01 1 2 3 4\n"),
    ] {
        bad_lists.push((what.into(), text.into()));
    }
    bad_lists.push(("not text".into(), (0..=255).collect()));
    bad_lists.push(("a long field".into(), row(&format!("{},y", "a".repeat(100_000))).into_bytes()));
    bad_lists.push(("a long label".into(), row(&format!("c.png,{}|", "a".repeat(100_000))).into_bytes()));
    bad_lists.push(("a long row".into(), row(&format!("{},y", "a".repeat(3 << 20))).into_bytes()));
    bad_lists.push((
        "an open quote".into(),
        row(&format!("\"a\n{}", format!("{}\n", "b".repeat(100)).repeat(11_000))).into_bytes(),
    ));
    bad_lists.push((
        "many columns".into(),
        [",".repeat(50_000), "\n".into(), ",".repeat(50_000)].concat().into_bytes(),
    ));
    bad_lists.extend(cuts(row("b.png,\"y, z\"").as_bytes(), 0..12));
    vec![Format {
        name: "list of images",
        file: "l.csv",
        beside: ["a.png", "b.png"].map(|name| (name, seed("png", "grey1.png"))).to_vec(),
        bad: bad(bad_lists),
        forgiving: true,
        read: |path| {
            let path = Some(path.to_str().unwrap().into());
            open(&Request::new([1, 2, 2], 2).with_path(path).with_kind(Kind::List)).map(drop)
        },
        arguments: &["--dataset", "list"],
    }]
}

pub fn networks() -> Vec<Format> {
    let mut formats = Vec::new();
    for (what, target, name, file, arguments) in [
        ("ONNX", "onnx", "tiny", "x.onnx", &["import", "-q", "x.onnx", "-o", "out.safetensors"][..]),
        (
            "NPZ",
            "npz",
            "tiny",
            "w.npz",
            &["export", "-q", "--device", "cpu", "-o", "out.onnx", "--weights", "w.npz"],
        ),
        (
            "PyTorch",
            "pth",
            "types.pth",
            "w.pth",
            &["eval", "-q", "--device", "cpu", "--weights", "w.pth", "-m", "lenet5"],
        ),
        (
            "PyTorch before 1.6",
            "pth",
            "types-legacy.pth",
            "w.pth",
            &["train", "-q", "--device", "cpu", "--weights", "w.pth", "-m", "lenet5"],
        ),
    ] {
        let sound = seed(target, name);
        let mut lies = cuts(&sound, (0..sound.len()).step_by(3));
        // Half of a zip archive of PyTorch is padding and headers that nothing reads.
        for at in (0..sound.len()).step_by(if what == "PyTorch" { 9 } else { 2 }) {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = sound.clone();
                bytes[at] = byte;
                lies.push((format!("byte {at} as {byte}"), bytes));
            }
        }
        let field = |name, at, bytes| Number { name, at, bytes, big_endian: false };
        if target == "npz" {
            let end = sound.windows(4).rposition(|word| word == b"PK\x05\x06").unwrap();
            for number in [
                field("entries", end + 10, 2),
                field("directory's size", end + 12, 4),
                field("directory's place", end + 16, 4),
            ] {
                lies.extend(numbers(&sound, number));
            }
            for number in [
                field("size", 22, 4),
                field("compressed size", 18, 4),
                field("name's length", 26, 2),
                field("method", 8, 2),
            ] {
                lies.extend(numbers(&sound, number));
            }
        }
        formats.push(Format {
            name: what,
            file,
            beside: Vec::new(),
            bad: bad(lies),
            forgiving: true,
            read: |path| interchange::read(path).map(drop),
            arguments,
        });
    }
    formats
}
