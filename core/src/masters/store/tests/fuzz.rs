//! States and steps that nobody wrote: their reader answers, whatever their checksums say.

use tahr_plugin_api::testing::fuzz;

use super::{
    super::{Kept, Store},
    kept,
    life::{Life, Random},
    live_by,
};
use crate::reconcile::Record;

/// Bytes of a state and of steps.
fn samples() -> (Kept, Vec<Vec<u8>>) {
    let mut life = Life::new(Random(7));
    let records: Vec<Record> = (0..40).map(|_| life.step()).collect();
    let whole = kept(life.state());
    let mut samples = vec![postcard::to_stdvec(&whole).expect("bytes")];
    let steps = records.iter().filter(|record| !record.is_empty());
    samples.extend(steps.map(|record| postcard::to_stdvec(record).expect("bytes")));
    (whole, samples)
}

#[test]
fn no_state_and_no_step_makes_its_reader_panic() {
    let (whole, samples) = samples();
    fuzz("masters' states", &samples, |bytes| {
        let state = postcard::take_from_bytes::<Kept>(bytes).ok();
        let state = state.filter(|(kept, rest)| rest.is_empty() && kept.is_sound());
        let step = postcard::take_from_bytes::<Record>(bytes).ok();
        let step = step.filter(|(_, rest)| rest.is_empty());
        let mut onto = state
            .as_ref()
            .map_or_else(|| whole.clone(), |(kept, _)| kept.clone());
        if let Some((record, _)) = &step {
            let _ = onto.replay(record);
        }
        state.is_some() || step.is_some()
    });
}

#[test]
fn no_file_makes_the_store_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state");
    live_by(Random(7), folder.path(), 12);
    let file = fs_err::read(&path).expect("the file");
    fuzz("masters' journal", &[file], |bytes| {
        fs_err::write(&path, bytes).expect("write");
        Store::open(folder.path()).is_ok_and(|(_, found)| found.is_some())
    });
}
