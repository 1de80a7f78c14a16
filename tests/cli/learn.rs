//! `striate learn`: chapters, languages, pictures, and flags that a chapter does not use.

use super::{code, json_lines, stderr, striate, succeed};

const CHAPTERS: [&str; 8] =
    ["neuron", "backprop", "activations", "vanishing", "digits", "convolution", "alexnet", "robustness"];

#[test]
fn chapters_are_listed_and_written_in_both_languages() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let (english, chinese) = (succeed(root, &["learn"]), succeed(root, &["learn", "--lang", "zh"]));
    for chapter in CHAPTERS {
        assert!(english.contains(&format!("  {chapter} ")) && chinese.contains(&format!("  {chapter} ")));
    }
    assert!(!english.contains('红') && chinese.contains("红绿灯"), "{chinese}");
    let neuron = ["learn", "neuron", "--device", "cpu", "-o", "in/pictures"];
    let text = succeed(root, &[&neuron[..], &["--lang", "zh"]].concat());
    assert!(text.contains("停") && text.contains("-1.5") && text.ends_with("neuron.svg\n"), "{text}");
    let picture = std::fs::read_to_string(root.join("in/pictures/neuron.svg")).unwrap();
    assert!(picture.contains("<svg") && picture.contains('红'), "{picture}");
    let events = json_lines(&succeed(root, &[&neuron[..], &["--json"]].concat()));
    assert_eq!((events.len(), &events[0]["chapter"]), (1, &"neuron".into()));
    assert_eq!(events[0]["numbers"]["answers"][0]["net"], -1.5);
}

#[test]
fn flags_that_a_chapter_does_not_use_and_unknown_chapters_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (words, part) in [
        ("learn neuron --data-path x", "--data-path has no effect: the chapter neuron"),
        ("learn convolution --seed 1", "--seed has no effect: the chapter convolution"),
        ("learn digits --weights w.safetensors", "--weights has no effect: the chapter digits"),
        ("learn -o pictures", "--output has no effect: the list of chapters"),
        ("learn alexnet --image cat.png", "--weights"),
        ("learn neurons", "neuron"),
        ("learn neuron --lang fr", "zh"),
    ] {
        let output = striate(folder.path(), &words.split(' ').collect::<Vec<_>>()).output().unwrap();
        let text = stderr(&output);
        assert!(code(&output) == 2 && text.contains(part) && text.lines().count() == 1, "{words}: {text}");
    }
    assert!(!folder.path().join("pictures").exists());
}
