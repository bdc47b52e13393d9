//! Plugins that appear while the engine runs.
//!
//! The folders are looked through once a second, which costs a few system calls: what was looked at
//! is known by its size and times. A new file is loaded once it was the same for two looks and is
//! complete by its own headers; a lane that waits for its plugin then starts by itself.

use std::{sync::Arc, time::Duration};

use super::{
    Engine, Shared, lock,
    plan::LaneName,
    running::plugin_for,
    seat::{Hindrance, Wanted},
};
use crate::{
    config::Config,
    lane::views,
    plugin::{News, Pins, Registry},
};

/// How often folders are looked through.
const EVERY: Duration = Duration::from_secs(1);

impl Engine {
    /// Watches the plugin folders, until the engine stops.
    pub async fn watch_plugins(&self) {
        let shared = &self.shared;
        loop {
            tokio::time::sleep(EVERY).await;
            let _one = shared.changing.lock().await;
            let config = shared.config();
            let news = shared.rescan(&config, true).await;
            for plugin in &news.found {
                let path = plugin.path.display();
                let (name, version) = (&plugin.description.name, &plugin.description.version);
                tracing::info!("found plugin {name} {version} in {path}");
            }
            for error in &news.errors {
                tracing::warn!(hint = error.hint.as_deref(), "{error}");
            }
            shared.seat_waiting(&config).await;
        }
    }
}

impl Shared {
    /// Looks through the plugin folders of `config`.
    pub(super) async fn rescan(self: &Arc<Self>, config: &Config, settled_only: bool) -> News {
        let shared = Arc::clone(self);
        let folders = config.engine.plugin_dirs.clone();
        let pins = Pins::of(config);
        // Hashing and loading take their time.
        let scan = move || lock(&shared.scanner).scan(&folders, &pins, settled_only);
        tokio::task::spawn_blocking(scan).await.unwrap_or_default()
    }

    /// Lets lanes begin whose plugin has come; the others show why they still wait.
    async fn seat_waiting(&self, config: &Config) {
        let registry = self.registry();
        let waiting = self.waiting(&registry);
        for (name, mut wanted) in waiting {
            if wanted.plugin.is_ok() {
                if let Err(collision) = self.claim_one(config, &registry, &name, &wanted).await {
                    wanted.plugin = Err(collision);
                } else {
                    tracing::info!(lane = %name, "the plugin is here; the lane starts");
                }
            }
            self.with_source(&name.source, |streaming| {
                if let Some(seat) = streaming.seats.get_mut(&name) {
                    seat.want(Some(wanted));
                }
            });
            self.untidy.notify_one();
        }
    }

    /// Lanes that wait for a plugin, and whose outlook is another now.
    fn waiting(&self, registry: &Registry) -> Vec<(LaneName, Wanted)> {
        let sources = lock(&self.sources);
        let all = sources
            .values()
            .filter_map(|running| running.streaming.as_ref());
        let seats = all.flat_map(|streaming| &streaming.seats);
        seats
            .filter_map(|(name, seat)| {
                let wanted = seat.wanted()?;
                let before = wanted
                    .plugin
                    .as_ref()
                    .err()
                    .filter(|error| error.is_plugin)?;
                let plugin = plugin_for(registry, name, &wanted.spec);
                let is_same = |now: &Hindrance| now.fault.message == before.fault.message;
                if plugin.as_ref().is_err_and(is_same) {
                    return None;
                }
                let wanted = Wanted {
                    plugin,
                    ..Wanted::clone(wanted)
                };
                Some((name.clone(), wanted))
            })
            .collect()
    }

    /// Asks the target of one lane, which could not be asked before, what its tables map to.
    async fn claim_one(
        &self,
        config: &Config,
        registry: &Registry,
        name: &LaneName,
        wanted: &Wanted,
    ) -> Result<(), Hindrance> {
        let (views, _) = views(config, &name.source, &wanted.tables);
        let is_it = |sync: &str, target: &str| sync == name.sync && target == name.target;
        let views: Vec<_> = views
            .into_iter()
            .filter(|view| is_it(&view.sync, &view.target))
            .collect();
        let mut claims = self.claims.lock().await;
        *claims = claims.of_lanes(|sync, _, target| !is_it(sync, target));
        let (errors, _) = claims.ask(config, registry, &views).await;
        match errors.first() {
            Some(error) => Err(Hindrance::of(error, false)),
            None => Ok(()),
        }
    }
}
