//! The simulation in the test suite.
use super::*;

#[test]
fn histories() {
    let count: u64 = std::env::var("COUNT").ok().and_then(|c| c.parse().ok()).unwrap_or(2000);
    let mut t = Tally::default();
    let mut fails: std::collections::BTreeMap<String, (usize, u64, String)> = Default::default();
    for kind in Kind::ALL {
        let mut bad = 0;
        let start = std::time::Instant::now();
        for seed in 0..count / 7 {
            let s = Settings::of(seed, kind);
            match std::panic::catch_unwind(|| History::new(seed, s).run()).unwrap_or_else(|e| Err(format!("panic {:?}", e.downcast_ref::<String>()))) {
                Ok(tally) => { t.writes += tally.writes; t.applies += tally.applies; t.conflicts += tally.conflicts; t.parked += tally.parked; }
                Err(e) => { bad += 1;
                    let class = format!("{kind:?} mv{} tr{} u{} {:?} {:?} ph{} lim{:?}", s.moves>0, s.truncates>0, s.unique, s.triggers, s.topology, s.phases, s.limit);
                    let f = fails.entry(class).or_insert((0, seed, e)); f.0 += 1; }
            }
        }
        eprintln!("{kind:?}: {bad} bad, {:?}", start.elapsed());
    }
    for (c, (n, seed, e)) in fails { eprintln!("{n:4} {c} seed {seed}: {}", e.chars().take(300).collect::<String>()); }
    eprintln!("{t:?}");
}

#[test]
fn one() {
    let seed: u64 = std::env::var("SEED").unwrap().parse().unwrap();
    let kind = Kind::ALL[std::env::var("KIND").unwrap().parse::<usize>().unwrap()];
    let s = Settings::of(seed, kind);
    eprintln!("{s:?}");
    eprintln!("{:?}", History::new(seed, s).run());
}
