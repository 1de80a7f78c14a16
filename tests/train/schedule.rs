//! Learning-rate schedules against values computed by hand from PyTorch's formulas.

use striate::train::{Decay, LearningRate, Schedule};

/// lr 1, no smallest rate, 10 steps per epoch.
fn schedule(decay: Decay, warmup: f32, epochs: usize) -> Schedule {
    Schedule::new(decay, 1.0, 0.0, warmup, epochs, 10).unwrap()
}

#[track_caller]
fn assert_near(found: f32, expected: f64) {
    assert!((f64::from(found) - expected).abs() < 1e-6, "found {found}, expected {expected}");
}

#[test]
fn constant_stays() {
    let s = schedule(Decay::Constant, 0.0, 3);
    assert!((0..30).all(|step| s.lr(step) == 1.0));
}

#[test]
fn step_cuts_between_epochs() {
    let s = schedule(Decay::Step { size: 2, gamma: 0.1 }, 0.0, 6);
    assert_near(s.lr(19), 1.0);
    assert_near(s.lr(20), 0.1);
    assert_near(s.lr(39), 0.1);
    assert_near(s.lr(40), 0.01);
}

#[test]
fn multistep_cuts_at_its_milestones() {
    let s = schedule(Decay::MultiStep { milestones: vec![1, 4], gamma: 0.5 }, 0.0, 6);
    assert_near(s.lr(9), 1.0);
    assert_near(s.lr(10), 0.5);
    assert_near(s.lr(39), 0.5);
    assert_near(s.lr(40), 0.25);
}

#[test]
fn cosine_moves_with_every_step() {
    let s = Schedule::new(Decay::Cosine, 1.0, 0.2, 0.0, 4, 10).unwrap();
    assert_near(s.lr(0), 1.0);
    // 0.2 + 0.8 (1 + cos(pi / 4)) / 2
    assert_near(s.lr(10), 0.882_842_712);
    assert_near(s.lr(20), 0.6);
    // 0.2 + 0.8 (1 + cos(3 pi / 4)) / 2
    assert_near(s.lr(30), 0.317_157_288);
    assert!(s.lr(39) > 0.2 && s.lr(39) < 0.202);
    assert!((0..39).all(|step| s.lr(step + 1) < s.lr(step)));
}

#[test]
fn poly_is_a_power_of_what_is_left() {
    let s = schedule(Decay::Poly { power: 2.0 }, 0.0, 2);
    assert_near(s.lr(0), 1.0);
    assert_near(s.lr(5), 0.5625);
    assert_near(s.lr(10), 0.25);
    assert_near(s.lr(19), 0.0025);
}

#[test]
fn warm_up_rises_in_a_line_and_the_schedule_begins_after_it() {
    let s = schedule(Decay::Step { size: 1, gamma: 0.1 }, 1.5, 5);
    // 15 steps of warm-up: 1/15, 2/15, ..., 15/15.
    assert_near(s.lr(0), 1.0 / 15.0);
    assert_near(s.lr(7), 8.0 / 15.0);
    assert_near(s.lr(14), 1.0);
    // The first whole epoch that lies a step size behind the warm-up's end (2.5) is epoch 3.
    assert_near(s.lr(29), 1.0);
    assert_near(s.lr(30), 0.1);
    let cosine = schedule(Decay::Cosine, 2.0, 4);
    assert_near(cosine.lr(19), 1.0);
    assert_near(cosine.lr(20), 1.0);
    assert_near(cosine.lr(30), 0.5);
}

#[test]
fn a_fraction_of_an_epoch_of_warm_up_is_its_steps() {
    let s = schedule(Decay::Constant, 0.25, 1);
    assert_near(s.lr(0), 0.4);
    assert_near(s.lr(1), 0.8);
    assert_near(s.lr(2), 1.0);
}

#[test]
fn plateau_waits_for_more_than_its_patience() {
    let mut s = schedule(Decay::Plateau { patience: 1, gamma: 0.1, cuts: None }, 0.0, 10);
    for (error, expected) in [
        (50.0, 1.0),
        (40.0, 1.0),
        // Not better by 1e-4 of itself: the first bad epoch.
        (39.999, 1.0),
        (40.0, 0.1),
        // The count restarts after a cut.
        (40.0, 0.1),
        (41.0, 0.01),
        (30.0, 0.01),
        (31.0, 0.01),
        (31.0, 0.001),
    ] {
        s.observe(error);
        assert_near(s.lr(0), expected);
    }
}

#[test]
fn a_plateau_that_is_resumed_with_other_cuts_is_as_if_it_had_had_them() {
    let of = |cuts| schedule(Decay::Plateau { patience: 1, gamma: 0.1, cuts }, 0.0, 30);
    // It ended where the third cut would have been.
    let mut short = of(Some(2));
    while !short.has_ended() {
        short.observe(1.0);
    }
    for (cuts, more) in [(Some(3), 1), (None, 5)] {
        let mut resumed = of(cuts);
        resumed.restore(&short.state()).unwrap();
        let mut whole = of(cuts);
        // The first observation is an improvement.
        (0..1 + 3 * 2).for_each(|_| whole.observe(1.0));
        assert_eq!(resumed.state(), whole.state(), "{cuts:?}");
        assert!(!resumed.has_ended());
        for _ in 0..2 * more {
            resumed.observe(1.0);
            whole.observe(1.0);
        }
        assert_eq!((resumed.state(), resumed.has_ended()), (whole.state(), cuts.is_some()), "{cuts:?}");
    }
    // With fewer than were made it ends at the next.
    let mut fewer = of(Some(1));
    fewer
        .restore(&{
            let mut of_two = of(Some(5));
            (0..1 + 2 * 2).for_each(|_| of_two.observe(1.0));
            of_two.state()
        })
        .unwrap();
    (0..2).for_each(|_| fewer.observe(1.0));
    assert!(fewer.has_ended());
}

#[test]
fn a_plateau_of_few_cuts_ends_where_the_next_would_be() {
    // As the paper has it: 0.01, 0.001, 1e-4, 1e-5, and then the end.
    let decay = Decay::Plateau { patience: 1, gamma: 0.1, cuts: Some(3) };
    let mut s = Schedule::new(decay, 0.01, 0.0, 0.0, 90, 10).unwrap();
    s.observe(40.0);
    for rate in [0.01, 0.001, 1e-4, 1e-5] {
        assert!((f64::from(s.lr(0)) / rate - 1.0).abs() < 1e-6, "{} {rate}", s.lr(0));
        for _ in 0..2 {
            assert!(!s.has_ended(), "at {rate}");
            s.observe(40.0);
        }
    }
    assert!(s.has_ended());
    // An improvement restarts the count, and no cut at all ends at the first plateau.
    let mut s = schedule(Decay::Plateau { patience: 0, gamma: 0.1, cuts: Some(0) }, 0.0, 9);
    for error in [50.0, 40.0, 30.0] {
        s.observe(error);
        assert!(!s.has_ended());
    }
    s.observe(30.0);
    assert!(s.has_ended() && s.lr(0) == 1.0);
}

#[test]
fn no_cut_goes_below_the_smallest_rate() {
    let mut s = Schedule::new(Decay::Plateau { patience: 0, gamma: 0.1, cuts: None }, 1.0, 0.05, 0.0, 10, 10)
        .unwrap();
    for _ in 0..5 {
        s.observe(1.0);
    }
    assert_near(s.lr(0), 0.05);
    let s = Schedule::new(Decay::Step { size: 1, gamma: 0.1 }, 1.0, 0.05, 0.0, 10, 10).unwrap();
    assert_near(s.lr(99), 0.05);
}

#[test]
fn only_plateau_listens_to_results() {
    let mut s = schedule(Decay::Constant, 0.0, 3);
    for _ in 0..20 {
        s.observe(90.0);
    }
    assert_eq!(s.lr(5), 1.0);
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let refused = |decay, lr, warmup| {
        let error = Schedule::new(decay, lr, 0.0, warmup, 3, 10).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
    };
    refused(Decay::Constant, f32::NAN, 0.0);
    refused(Decay::Constant, -0.1, 0.0);
    refused(Decay::Constant, 0.1, -1.0);
    refused(Decay::Step { size: 0, gamma: 0.1 }, 0.1, 0.0);
    refused(Decay::Step { size: 3, gamma: f64::INFINITY }, 0.1, 0.0);
    refused(Decay::Poly { power: -1.0 }, 0.1, 0.0);
    refused(Decay::Poly { power: f64::NAN }, 0.1, 0.0);
    // A rate that would overflow within the three epochs, though it is a number today.
    refused(Decay::Step { size: 1, gamma: 1e20 }, 0.1, 0.0);
    refused(Decay::MultiStep { milestones: vec![1, 2], gamma: 1e20 }, 0.1, 0.0);
    refused(Decay::Plateau { patience: 0, gamma: 1e20, cuts: None }, 0.1, 0.0);
    let later = Decay::MultiStep { milestones: vec![1, 9], gamma: 1e20 };
    assert!(Schedule::new(later, 0.1, 0.0, 0.0, 3, 10).is_ok());
}
