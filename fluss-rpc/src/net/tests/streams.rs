//! Streams that a connector of the test opens: they end after any byte, and some bytes are held back.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::server::{Server, address};
use super::*;

/// What the client hears of its server.
#[derive(Clone, Copy, Debug)]
struct Wire {
    /// After so many bytes nothing more comes.
    bytes: usize,
    /// Whether that is an end, or silence.
    ends: bool,
    /// How long each byte takes.
    pause: Duration,
}

/// Opens a stream to a server that answers two requests.
#[derive(Debug)]
struct Network {
    wire: Wire,
    /// How many bytes have come.
    heard: Arc<Mutex<usize>>,
}

impl Connector for Network {
    fn connect<'a>(&'a self, _: &'a ServerAddress) -> Connecting<'a> {
        let (near, far) = duplex(ROOMY);
        tokio::spawn(async move {
            let mut server = Server::new(far);
            server.welcome(None).await;
            while let Some(request) = server.next().await {
                let name = request.body::<ListTablesRequest>().database_name;
                server.reply(request.id(), &tell(&name)).await;
            }
        });
        let reader = Trickle {
            stream: near,
            wire: self.wire,
            heard: self.heard.clone(),
            pause: Box::pin(sleep(self.wire.pause)),
        };
        Box::pin(async { Ok(ByteStream::split(reader)) })
    }
}

/// A stream of which one byte is read at a time.
struct Trickle {
    stream: DuplexStream,
    wire: Wire,
    heard: Arc<Mutex<usize>>,
    pause: Pin<Box<Sleep>>,
}

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        task::ready!(this.pause.as_mut().poll(cx));
        if *this.heard.lock().unwrap() == this.wire.bytes {
            return if this.wire.ends {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
        }
        let mut byte = [0];
        let mut read = ReadBuf::new(&mut byte);
        task::ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
        buf.put_slice(read.filled());
        *this.heard.lock().unwrap() += read.filled().len();
        this.pause.as_mut().reset(Instant::now() + this.wire.pause);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Connects and asks two questions; returns how many were answered, and how many bytes have come.
async fn ask_two(wire: Wire) -> (Result<usize, ConnectError>, Option<RequestError>, usize) {
    let heard = Arc::<Mutex<usize>>::default();
    let network = Network {
        wire,
        heard: heard.clone(),
    };
    let options = ConnectOptions {
        transport: Transport::stream(network),
        ..ConnectOptions::default()
    };
    let connection = match Connection::connect(&address(), &options).await {
        Ok(connection) => connection,
        Err(error) => return (Err(error), None, *heard.lock().unwrap()),
    };
    for (answered, name) in ["first", "second"].into_iter().enumerate() {
        match connection.request(&ask(name)).await {
            Ok(answer) => assert_eq!(answer, tell(name)),
            Err(error) => return (Ok(answered), Some(error), *heard.lock().unwrap()),
        }
    }
    (Ok(2), None, *heard.lock().unwrap())
}

const WHOLE: Wire = Wire {
    bytes: usize::MAX,
    ends: true,
    pause: Duration::from_millis(1),
};

#[tokio::test(start_paused = true)]
async fn bytes_that_come_one_by_one_are_answers_all_the_same() {
    let (answered, error, _) = ask_two(WHOLE).await;
    assert_eq!(answered.unwrap(), 2);
    assert!(error.is_none(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_after_any_byte_is_told() {
    let (.., all) = ask_two(WHOLE).await;
    let mut most = 0;
    for bytes in 0..all {
        let (answered, error, _) = ask_two(Wire { bytes, ..WHOLE }).await;
        match answered {
            Err(error) => assert!(matches!(error, ConnectError::Closed { .. }), "{bytes}: {error:?}"),
            Ok(answered) => {
                assert!((most..2).contains(&answered), "{bytes}");
                most = answered;
                let reason = reason(error.unwrap());
                let is_end = matches!(reason, Disconnect::ClosedByServer | Disconnect::Cut);
                assert!(is_end, "{bytes}: {reason:?}");
            }
        }
    }
    assert_eq!(most, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_falls_silent_after_any_byte_is_given_up_in_time() {
    let (.., all) = ask_two(WHOLE).await;
    for bytes in 0..all {
        let begun = Instant::now();
        let wire = Wire {
            bytes,
            ends: false,
            ..WHOLE
        };
        let (answered, error, heard) = ask_two(wire).await;
        assert_eq!(heard, bytes);
        match answered {
            Err(error) => assert!(
                matches!(error, ConnectError::Timeout { .. }),
                "{bytes}: {error:?}"
            ),
            Ok(_) => assert!(
                matches!(error, Some(RequestError::Timeout { .. })),
                "{bytes}: {error:?}"
            ),
        }
        assert!(begun.elapsed() <= Duration::from_secs(31), "{bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_held_back_for_too_long_are_not_waited_for() {
    let pause = Duration::from_secs(20);
    let (answered, ..) = ask_two(Wire { pause, ..WHOLE }).await;
    let error = answered.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error:?}");
}
