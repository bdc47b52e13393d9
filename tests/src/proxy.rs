//! A TCP proxy that makes the faults of a network.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does with bytes and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// All pass.
    Flow,
    /// Connections live, new ones too, but nothing passes.
    Hold,
    /// New connections are closed at once.
    Refuse,
}

#[derive(Debug, Clone, Copy)]
struct State {
    mode: Mode,
    /// Connections of an earlier generation are closed.
    generation: u64,
}

/// Bytes to be put in the place of others, once.
type Alteration = Arc<Mutex<Option<(Vec<u8>, Vec<u8>)>>>;

/// A proxy in front of one address. Its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    alteration: Alteration,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy on a free port, passing everything on to `target`.
    #[expect(clippy::unused_async, reason = "it can only be called in a runtime")]
    pub async fn start(target: SocketAddr) -> Self {
        let socket = narrow().expect("a socket of the proxy");
        let bound = socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = bound
            .and_then(|()| socket.listen(1024))
            .expect("bind the proxy's port");
        let address = listener.local_addr().expect("the proxy's address");
        let state = Arc::new(watch::Sender::new(State {
            mode: Mode::Flow,
            generation: 0,
        }));
        let states = Arc::clone(&state);
        let alteration = Alteration::default();
        let altering = Arc::clone(&alteration);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let now = *states.borrow();
                if now.mode != Mode::Refuse {
                    let altering = Arc::clone(&altering);
                    let states = states.subscribe();
                    tokio::spawn(serve(client, target, states, now.generation, altering));
                }
            }
        });
        Self {
            address,
            state,
            alteration,
            accepting,
        }
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection; new ones are served.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }

    /// Lets nothing pass from now on, without closing anything: a network that swallows packets.
    pub fn hold(&self) {
        self.state.send_modify(|state| state.mode = Mode::Hold);
    }

    /// Closes every connection, and new ones at once: a server that is down.
    pub fn refuse(&self) {
        self.state.send_modify(|state| {
            state.mode = Mode::Refuse;
            state.generation += 1;
        });
    }

    /// Puts `to` in the place of `from`, of the same length, where the server next sends that in one
    /// piece; once.
    pub fn alter(&self, from: &[u8], to: &[u8]) {
        assert_eq!(from.len(), to.len(), "the stream must not shift");
        *self
            .alteration
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((from.to_vec(), to.to_vec()));
    }

    /// Whether what [`alter`](Self::alter) asked for has happened.
    pub fn has_altered(&self) -> bool {
        self.alteration
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }

    /// Lets everything pass again, what was held included.
    pub fn resume(&self) {
        self.state.send_modify(|state| state.mode = Mode::Flow);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

/// A socket that holds little, so that what is cut off is not there already.
fn narrow() -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(64 * 1024)?;
    socket.set_send_buffer_size(64 * 1024)?;
    Ok(socket)
}

/// One connection, until either side closes it or it is cut.
async fn serve(
    client: TcpStream,
    target: SocketAddr,
    mut states: watch::Receiver<State>,
    generation: u64,
    alteration: Alteration,
) {
    let Ok(socket) = narrow() else { return };
    let Ok(server) = socket.connect(target).await else {
        return;
    };
    let _unsupported = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pass(
        from_client,
        to_server,
        states.clone(),
        Alteration::default(),
    );
    let back = pass(from_server, to_client, states.clone(), alteration);
    let cut = states.wait_for(|state| state.generation != generation);
    tokio::select! {
        () = async { tokio::join!(there, back); } => {}
        _cut_or_dropped = cut => {}
    }
}

/// One direction, until its end; then the other end is told, as TCP does.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut states: watch::Receiver<State>,
    alteration: Alteration,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        alter(&mut buffer[..count], &alteration);
        if states
            .wait_for(|state| state.mode == Mode::Flow)
            .await
            .is_err()
            || to.write_all(&buffer[..count]).await.is_err()
        {
            break;
        }
    }
    // A network that swallows packets swallows the last one too.
    drop(states.wait_for(|state| state.mode != Mode::Hold).await);
    let _already_closed = to.shutdown().await;
}

fn alter(bytes: &mut [u8], alteration: &Alteration) {
    let mut alteration = alteration.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((from, to)) = alteration.as_ref() else {
        return;
    };
    if let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
        bytes[at..at + to.len()].copy_from_slice(to);
        *alteration = None;
    }
}
