//! The examples of the documentation, and how fast they are.

use std::time::Instant;

use super::*;

/// The examples of `docs/lua.md`, in order: whole files, which is why the first block is left out.
fn examples() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lua.md");
    let page = fs::read_to_string(path).expect("docs/lua.md");
    let blocks = page.split("```lua\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned());
    blocks.skip(1).collect()
}

#[test]
fn the_documented_examples_do_what_they_say() {
    let examples = examples();
    let [highest, columns, counter] = examples.as_slice() else {
        panic!("{} examples", examples.len());
    };
    let [a, b] = two();
    assert_eq!(ask(highest, &[a.clone(), b]), Ok(Answer::Winner(1)));
    let gone = candidate(1, 3, None, None);
    assert_eq!(ask(highest, &[a, gone.clone()]), Ok(Answer::Winner(0)));
    assert_eq!(
        ask(highest, &[gone.clone(), gone.clone()]),
        Ok(Answer::Winner(0))
    );

    let before = row(&[("bid", "1"), ("name", "old"), ("hits", "10")]);
    let early = row(&[("bid", "2"), ("name", "early"), ("hits", "13")]);
    let late = row(&[("bid", "1"), ("name", "late"), ("hits", "15"), ("ok", "t")]);
    let early = candidate(0, 1, Some(early), Some(before.clone()));
    let late = candidate(1, 2, Some(late), Some(before));
    for candidates in [[early.clone(), late.clone()], [late.clone(), early.clone()]] {
        let found = merged(&ask(columns, &candidates));
        let shown = ["bid", "name", "hits", "ok"].map(|name| found[name].as_str());
        assert_eq!(shown, ["2", "late", "15", "t"]);
    }
    assert_eq!(ask(columns, &[early.clone(), gone]), Ok(Answer::Winner(1)));

    let found = merged(&ask(counter, &[early.clone(), late.clone()]));
    assert_eq!(
        (found["hits"].as_str(), found["name"].as_str()),
        ("18", "late")
    );
    let standing = Candidate {
        standing: true,
        ..candidate(0, 0, Some(row(&[("hits", "100")])), None)
    };
    let found = merged(&ask(counter, &[early, late, standing]));
    assert_eq!(found["hits"], "108");
}

/// Prints what one machine does in a second; slow machines only make it print less.
#[test]
fn many_conflicts_are_decided_in_a_second() {
    let resolver = load(&examples()[1]).unwrap();
    let (key, candidates) = (key(), two());
    let begun = Instant::now();
    let mut count = 0_u32;
    while begun.elapsed().as_millis() < 500 {
        resolver.resolve(Quarrel::Key, &key, &candidates).unwrap();
        count += 1;
    }
    let speed = f64::from(count) / begun.elapsed().as_secs_f64();
    eprintln_speed(speed);
    assert!(speed > 1000.0, "{speed} conflicts a second");
}

#[allow(clippy::print_stderr)]
fn eprintln_speed(speed: f64) {
    eprintln!("{speed:.0} conflicts a second");
}
