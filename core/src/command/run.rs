//! `tahr run`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    Error, Faults, cli,
    config::{Config, Target},
    control::{Server, StateLock},
    engine::{Engine, Report},
    plugin::{Plugin, Registry},
    progress::Progress,
    shutdown::Stop,
};

/// How long a source or target may be out of reach before `--once` gives up on it.
const ONCE_PATIENCE: Duration = Duration::from_secs(20);

/// Runs the engine until it is told to stop, or with `--once` until all lanes hold the present.
pub(super) fn run(
    config: &Config,
    options: cli::Run,
    progress: &mut Progress,
) -> Result<(), Faults> {
    let _lock = StateLock::take(&config.engine.state_dir)?;
    let (registry, errors) = Registry::scan(&config.engine.plugin_dirs);
    for error in errors {
        tracing::warn!(hint = error.hint.as_deref(), "{error}");
    }
    check_targets(config, &registry)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed("start the async runtime").caused_by(error))?;
    let result = runtime.block_on(run_engine(config, &registry, options, progress));
    // A writer that never returned must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Every target's plugin is there, and is the one that was pinned.
pub(super) fn check_targets(config: &Config, registry: &Registry) -> Result<(), Faults> {
    let found = config
        .targets
        .iter()
        .map(|target| plugin_of(target, registry));
    Faults::unless_empty(found.filter_map(Result::err).collect())
}

/// The plugin of the target `name`, which is the one that was pinned.
pub(super) fn plugin_of<'r>(
    (name, target): (&String, &Target),
    registry: &'r Registry,
) -> Result<&'r Plugin, Error> {
    let plugin = registry.get(&target.plugin)?;
    let pin = target.sha256.as_ref();
    if pin.is_some_and(|pin| !pin.eq_ignore_ascii_case(&plugin.sha256)) {
        let path = plugin.path.display();
        return Err(Error::usage(format!(
            "plugin file {path} of target \"{name}\" is not the one that was pinned"
        ))
        .hint(format!("its sha256 is {}", plugin.sha256)));
    }
    Ok(plugin)
}

async fn run_engine(
    config: &Config,
    registry: &Registry,
    options: cli::Run,
    progress: &mut Progress,
) -> Result<(), Faults> {
    let stop = Stop::default();
    let signals = tokio::spawn(watch_signals(stop.clone()));
    let _handled = outlive_full_disks();
    let patience = options.once.then_some(ONCE_PATIENCE);
    let engine = Engine::start(config, registry, patience, stop.clone()).await?;
    let latest = Arc::new(Mutex::new(engine.report()));
    let asked = Arc::clone(&latest);
    let report = move || asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let server = Server::listen(&config.engine.state_dir, report, stop.clone())?;
    let result = tokio::select! {
        biased;
        () = stop.asked() => Ok(()),
        error = engine.failed() => Err(error.into()),
        result = engine.catch_up(ONCE_PATIENCE), if options.once => result,
        () = refresh(&engine, &latest, progress) => Ok(()),
    };
    progress.show(&engine.report());
    progress.finish();
    engine.stop().await;
    drop(server);
    signals.abort();
    if !options.once {
        tracing::info!("stopped; the slots keep what follows until the next run");
    }
    if options.once && result.is_ok() {
        tracing::info!(
            "all targets hold the present; the slots keep what follows until the next run"
        );
    }
    result
}

async fn refresh(engine: &Engine, latest: &Mutex<Report>, progress: &mut Progress) {
    loop {
        progress.show(&engine.report());
        *latest.lock().unwrap_or_else(PoisonError::into_inner) = engine.report();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A file that would grow beyond the limit of the process (`ulimit -f`) is an error to whoever writes
/// it, as a full disk is, and not the end of the process.
fn outlive_full_disks() -> std::io::Result<tokio::signal::unix::Signal> {
    let number = rustix::process::Signal::XFSZ.as_raw();
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(number))
}

/// The first Ctrl-C or SIGTERM asks for a clean end, the second one ends at once.
async fn watch_signals(stop: Stop) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    let mut asked = false;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if asked {
            tracing::warn!("ending at once; targets go on from their checkpoints next time");
            std::process::exit(i32::from(crate::exit_code::FAILED));
        }
        tracing::info!("stopping; once more to end at once");
        asked = true;
        stop.stop();
    }
}
