//! Waiting for something to become true, with a limit and a reason.

use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Asks again and again until `check` answers `Ok`, and gives that answer.
///
/// # Panics
///
/// After `limit`, naming what was waited for, the caller's line, and the last `Err`, which says how
/// things stood. A check that hangs is cut off by the limit too.
#[track_caller]
pub fn eventually<T, F>(
    limit: Duration,
    what: impl Into<String>,
    check: F,
) -> impl Future<Output = T>
where
    F: AsyncFnMut() -> Result<T, String>,
{
    // Taken here, not in the future: there the caller would be the runtime.
    wait(limit, what.into(), check, Location::caller())
}

async fn wait<T, F>(limit: Duration, what: String, mut check: F, caller: &Location<'_>) -> T
where
    F: AsyncFnMut() -> Result<T, String>,
{
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    let mut last = "the first check did not come back".to_owned();
    loop {
        match timeout_at(deadline, check()).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(diagnosis)) => last = diagnosis,
            Err(_) => last = format!("a check hung; before it: {last}"),
        }
        assert!(
            Instant::now() + pause < deadline,
            "not within {limit:?}: {what} (at {caller}); last seen: {last}"
        );
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
