//! The report of a run: in its folder unasked, and by `report run` from what is still there.

use super::pictures::{TRAIN, photographs};
use super::{TINY, code, json_lines, stderr, striate, succeed};
use std::fs;
use std::path::Path;

const PICTURES: [&str; 4] = ["curves.svg", "confusion.svg", "mistakes.png", "report.html"];
/// A class that would end an element and begin others.
const BAD: &str = "<script>alert(1)<b onload=\"x\"> & 'y'";

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path.as_ref()).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

/// `report run` of these runs, which must succeed: the page, and what was said on stderr.
fn report(folder: &Path, runs: &[&str]) -> (String, String) {
    let words = [&["report", "run", "--device", "cpu", "-o", "r.html"][..], runs].concat();
    let output = striate(folder, &words).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    (read(folder.join("r.html")), stderr(&output))
}

#[cfg(unix)]
#[test]
fn a_run_leaves_a_report_in_its_folder_in_which_every_name_is_text() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    photographs(root);
    fs::rename(root.join("photos/blue"), root.join("photos").join(BAD)).unwrap();
    // So slowly that there are mistakes.
    let output = striate(root, &[&TRAIN[..], &["--lr", "0.0001"]].concat()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("report: runs/x/report.html"), "{}", stderr(&output));
    let run = root.join("runs/x");
    let (page, confusion) = (read(run.join("report.html")), read(run.join("confusion.svg")));
    for text in [&page, &confusion, &read(run.join("curves.svg"))] {
        assert!(!text.contains("<script") && !text.contains("<b onload"), "{text}");
        let requests = ["src=\"http", "href=\"http", "url(", "@import", "<link rel=\"stylesheet"];
        assert!(requests.iter().all(|request| !text.contains(request)), "{text}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;b onload=&quot;x&quot;&gt; &amp; 'y'"), "{page}");
    assert!(page.len() < 2_000_000 && page.contains("default-src 'none'"));
    for heading in [
        "Learning curves",
        "Classes",
        "Most confident mistakes",
        "Calibration",
        "Filters of the first convolution",
    ] {
        assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    // The command of the page makes the same run again.
    let command = page.split("<pre>striate ").nth(1).unwrap().split("</pre>").next().unwrap();
    let mut words: Vec<&str> = command.split(' ').collect();
    words.extend(["--name", "again", "-q"]);
    succeed(root, &words);
    assert_eq!(read(run.join("metrics.csv")).lines().count(), 3);
    let hash = |name: &str| {
        let table = read(root.join("runs").join(name).join("metrics.csv"));
        table.lines().last().unwrap().split(',').nth(11).unwrap().to_string()
    };
    assert_eq!(hash("again"), hash("x"));
    // Evaluated by itself, the same answers are found.
    let (again, _) = report(root, &["runs/x"]);
    assert!(page.contains(&confusion) && again.contains(&confusion));
    // And the sheet of mistakes is that of `eval`.
    succeed(
        root,
        &["eval", "--device", "cpu", "--weights", "runs/x", "--data-path", "photos", "--mistakes", "m.png"],
    );
    let (ours, theirs) =
        (image::open(run.join("mistakes.png")).unwrap(), image::open(root.join("m.png")).unwrap());
    // Their headings name the samples in other words.
    let below =
        |sheet: image::DynamicImage| sheet.crop_imm(0, 40, sheet.width(), sheet.height() - 40).to_rgb8();
    assert_eq!(below(ours), below(theirs));
}

#[test]
fn a_resumed_run_renews_its_report_and_no_report_leaves_it_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let train = |more: &[&str]| {
        let output = striate(root, &[&["train", "--device", "cpu"][..], more].concat()).output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stderr(&output)
    };
    let run = root.join("runs/r");
    let is_there = || PICTURES.map(|name| run.join(name).is_file());
    let said = train(&[&TINY[3..], &["--name", "r", "--no-report"]].concat());
    assert!(!said.contains("report:") && is_there() == [false; 4], "{said}");
    // It is a run without reports until it is said otherwise.
    let said = train(&["--resume", "runs/r", "--epochs", "3"]);
    assert!(!said.contains("report:") && is_there() == [false; 4], "{said}");
    let said = train(&["--resume", "runs/r", "--no-report=false"]);
    assert!(
        said.contains("resume: report false -> true") && said.contains("report: runs/r/report.html"),
        "{said}"
    );
    assert_eq!(is_there(), [true; 4]);
    let before = read(run.join("report.html"));
    assert!(before.contains("3 of 3"), "{before}");
    let confusion = read(run.join("confusion.svg"));
    let (page, _) = report(root, &["runs/r"]);
    assert!(
        page.contains(&confusion),
        "the answers after a resume are others than those of the best weights"
    );
    train(&["--resume", "runs/r", "--epochs", "4"]);
    let after = read(run.join("report.html"));
    assert!(after.contains("4 of 4") && after != before, "{after}");
    // A report that cannot be written is a warning.
    fs::remove_file(run.join("curves.svg")).unwrap();
    fs::create_dir(run.join("curves.svg")).unwrap();
    let said = train(&["--resume", "runs/r", "--epochs", "5"]);
    let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert!(
        matches!(warnings[..], [line] if line.contains("report was not written") && line.contains("curves.svg")),
        "{said}"
    );
}

#[test]
fn what_is_not_there_any_more_is_said_and_the_rest_reported() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    photographs(root);
    succeed(root, &[&TRAIN[..], &["--no-report"]].concat());
    let whole = report(root, &["runs/x"]).0;
    assert!(whole.contains("<h2>Classes</h2>") && !whole.contains("What this report does without"));
    fs::rename(root.join("photos"), root.join("moved")).unwrap();
    let (page, said) = report(root, &["runs/x"]);
    assert!(said.starts_with("warning: runs/x: no confusion matrix, mistakes or calibration: "), "{said}");
    assert!(
        page.contains("<li>no confusion matrix, mistakes or calibration: ") && !page.contains("<h2>Classes"),
        "{page}"
    );
    assert!(
        page.contains("<h2>Learning curves</h2>")
            && page.contains("<h2>Filters of the first convolution</h2>")
    );
    for name in ["best.safetensors", "last.safetensors"] {
        fs::remove_file(root.join("runs/x").join(name)).unwrap();
    }
    let page = report(root, &["runs/x"]).0;
    assert!(page.contains("best.safetensors: no such file") && !page.contains("<h2>Filters"), "{page}");
    // Of the two logs one is enough, and without args.toml there is no recipe.
    fs::remove_file(root.join("runs/x/log.jsonl")).unwrap();
    fs::write(root.join("runs/x/args.toml"), "damaged [").unwrap();
    let page = report(root, &["runs/x"]).0;
    assert!(
        page.contains("<h2>Learning curves</h2>") && page.contains("no args.toml that can be read"),
        "{page}"
    );
    fs::remove_file(root.join("runs/x/metrics.csv")).unwrap();
    for (run, what) in [
        ("runs/x", "runs/x: expected the folder of a run"),
        ("runs/none", "runs/none: no such file or folder"),
    ] {
        let output = striate(root, &["report", "run", run, "-o", "none.html"]).output().unwrap();
        let text = stderr(&output);
        assert!(code(&output) == 4 && text.lines().count() == 1 && text.contains(what), "{text}");
    }
    assert!(!root.join("none.html").exists());
}

#[test]
fn several_runs_stand_side_by_side_with_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    succeed(root, &[&TINY[..], &["--name", "a", "--no-report"]].concat());
    succeed(root, &[&TINY[..], &["--name", "b", "--no-report", "--lr", "0.003"]].concat());
    let page = report(root, &["runs/a", "runs/b"]).0;
    assert!(page.contains("<title>2 runs</title>"), "{page}");
    let table = page.split("<h2>What differs</h2>").nth(1).unwrap().split("</section>").next().unwrap();
    let rows: Vec<&str> = table.split("<tr>").skip(2).collect();
    assert!(
        matches!(rows[..], [row] if row.starts_with("<td>lr</td><td>0.002</td><td>0.003</td>")),
        "{table}"
    );
    // A curve of each run in each chart, in its colour.
    let curves = page.split("<h2>Learning curves</h2>").nth(1).unwrap().split("</section>").next().unwrap();
    for colour in ["#0072B2", "#D55E00"] {
        assert_eq!(
            curves
                .matches(&format!("fill=\"none\" opacity=\"1\" stroke=\"{colour}\" stroke-width=\"2\""))
                .count(),
            3,
            "{curves}"
        );
    }
    let object = json_lines(&succeed(
        root,
        &["report", "run", "runs/a", "runs/b", "-o", "r.html", "--json", "--device", "cpu"],
    ))
    .remove(0);
    assert_eq!((&object["report"], &object["runs"]), (&"run".into(), &2.into()));
}

#[test]
fn a_regression_has_its_error_instead_of_classes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let rows: Vec<String> = (0..40).map(|n| format!("{n},{},{}", n % 7, f64::from(n) * 0.5 + 0.25)).collect();
    fs::write(root.join("line.csv"), format!("a,b,y\n{}\n", rows.join("\n"))).unwrap();
    let model = "name = \"line\"\ninput = [1, 1, 2]\n[recipe]\nepochs = 2\nbatch_size = 8\nlr = 0.0001\nloss = \"mse\"\n\
                 [[layer]]\nop = \"flatten\"\n[[layer]]\nname = \"out\"\nop = \"linear\"\nout_features = 1\n";
    fs::write(root.join("line.toml"), model).unwrap();
    succeed(
        root,
        &["train", "--device", "cpu", "-m", "line.toml", "--data-path", "line.csv", "--name", "l", "-q"],
    );
    let run = root.join("runs/l");
    assert_eq!(PICTURES.map(|name| run.join(name).is_file()), [true, false, false, true]);
    let page = read(run.join("report.html"));
    assert!(page.contains("best RMSE, epoch") && page.contains("labels are values, not classes"), "{page}");
    let mistakes =
        ["eval", "--device", "cpu", "--weights", "runs/l", "--data-path", "line.csv", "--mistakes", "m.png"];
    let output = striate(root, &mistakes).output().unwrap();
    assert!(
        code(&output) == 2
            && stderr(&output).contains("--mistakes: expected classes as labels, found values"),
        "{}",
        stderr(&output)
    );
}

/// Its answers are those to training samples, whose numbers mean others among the validation samples.
#[test]
fn a_run_on_one_batch_shows_no_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    photographs(root);
    let output =
        striate(root, &[&TRAIN[..], &["--lr", "0.0001", "--overfit-batch"]].concat()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let run = root.join("runs/x");
    assert_eq!(PICTURES.map(|name| run.join(name).is_file()), [true, false, false, true]);
    let page = read(run.join("report.html"));
    assert!(
        page.contains("the run was trained on a single batch") && !page.contains("validation samples of"),
        "{page}"
    );
}
