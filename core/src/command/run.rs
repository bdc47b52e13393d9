//! `tahr run`.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    Error, Faults, cli,
    config::Config,
    control::{Answer, Server, StateLock},
    engine::Engine,
    plugin::{Pins, Registry, Scanner},
    progress::Progress,
    shutdown::Stop,
};

/// How long a source or target may be out of reach before `--once` gives up on it.
const ONCE_PATIENCE: Duration = Duration::from_secs(20);

/// Who wants a reload, and waits for what comes of it.
type Asker = oneshot::Sender<Answer>;
type Asked = mpsc::Receiver<Asker>;

/// Runs the engine until it is told to stop, or with `--once` until all lanes hold the present.
pub(super) fn run(
    config: &Config,
    options: cli::Run,
    progress: &mut Progress,
) -> Result<(), Faults> {
    let _lock = StateLock::take(&config.engine.state_dir)?;
    let mut scanner = Scanner::default();
    let news = scanner.scan(&config.engine.plugin_dirs, &Pins::of(config), false);
    for error in news.errors {
        tracing::warn!(hint = error.hint.as_deref(), "{error}");
    }
    if options.once {
        refuse_without_plugins(config, &scanner.registry())?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed("start the async runtime").caused_by(error))?;
    let result = runtime.block_on(run_engine(config, scanner, options, progress));
    // A writer that never returned must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn run_engine(
    config: &Config,
    scanner: Scanner,
    options: cli::Run,
    progress: &mut Progress,
) -> Result<(), Faults> {
    let stop = Stop::default();
    let (ask, asked) = mpsc::channel(1);
    let signals = tokio::spawn(watch_signals(stop.clone(), ask.clone()));
    let _handled = outlive_full_disks();
    let patience = options.once.then_some(ONCE_PATIENCE);
    let engine = Engine::start(config, scanner, patience, stop.clone()).await?;
    let server = Server::listen(
        &config.engine.state_dir,
        engine.control(),
        ask,
        stop.clone(),
    )?;
    // Nobody asks an engine to change that ends by itself.
    let asked = (!options.once).then_some(asked);
    let result = tokio::select! {
        biased;
        () = stop.asked() => Ok(()),
        faults = engine.failed() => Err(faults),
        result = engine.catch_up(ONCE_PATIENCE), if options.once => result,
        () = refresh(&engine, progress) => Ok(()),
        () = reload_when_asked(&engine, asked) => Ok(()),
        () = engine.watch_plugins(), if !options.once => Ok(()),
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

/// Reloads for everybody who asks, one after the other; never completes.
async fn reload_when_asked(engine: &Engine, asked: Option<Asked>) {
    let Some(mut asked) = asked else {
        return std::future::pending().await;
    };
    while let Some(asker) = asked.recv().await {
        let result = engine.reload().await;
        match &result {
            Ok(done) => {
                for line in done.lines() {
                    tracing::info!("reload: {line}");
                }
            }
            Err(faults) => {
                for error in faults.errors() {
                    let hint = error.hint_text();
                    tracing::error!(hint, "reload: {error}; nothing was changed");
                }
            }
        }
        // A signal waits for no answer, and who has gone away needs none.
        let _ = asker.send(result.into());
    }
    std::future::pending::<()>().await;
}

/// Where no target has its plugin there is nothing to do: better said before anything is made. A lane
/// without one waits for it otherwise, and the others run.
fn refuse_without_plugins(config: &Config, registry: &Registry) -> Result<(), Faults> {
    let targets = config.targets.iter();
    let found = targets.map(|(name, target)| registry.of_target(name, target));
    let missing: Vec<_> = found.filter_map(Result::err).collect();
    match missing.len() == config.targets.len() {
        true => Faults::unless_empty(missing),
        false => Ok(()),
    }
}

async fn refresh(engine: &Engine, progress: &mut Progress) {
    loop {
        progress.show(&engine.report());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A file that would grow beyond the limit of the process (`ulimit -f`) is an error to whoever writes
/// it, as a full disk is, and not the end of the process.
fn outlive_full_disks() -> io::Result<tokio::signal::unix::Signal> {
    let number = rustix::process::Signal::XFSZ.as_raw();
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(number))
}

/// The first Ctrl-C or SIGTERM asks for a clean end, the second one ends at once. SIGHUP asks for a
/// reload; from a terminal that is closed it asks for the end.
async fn watch_signals(stop: Stop, reloads: mpsc::Sender<Asker>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return;
    };
    let had_terminal = io::stderr().is_terminal();
    let mut asked = false;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {
                if !had_terminal || io::stderr().is_terminal() {
                    // While one is under way, one more is enough.
                    let _ = reloads.try_send(oneshot::channel().0);
                    continue;
                }
            }
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
