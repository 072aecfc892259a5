//! The stream of bytes above TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use super::meaning;

/// A stream of bytes above TLS. It ends where the other side ends it, with or without a last word of TLS: frames have a length,
/// so one that is cut shows.
#[derive(Debug)]
pub struct Secured<S> {
    stream: TlsStream<S>,
    /// Of a client: whether it has a certificate to show.
    has_certificate: Option<bool>,
}

impl<S> Secured<S> {
    /// A client's end. Its errors are [faults](super::TlsFault): with TLS 1.3 a client learns only as it reads that its certificate
    /// is refused.
    pub(super) fn client(stream: impl Into<TlsStream<S>>, has_certificate: bool) -> Self {
        Self {
            stream: stream.into(),
            has_certificate: Some(has_certificate),
        }
    }

    /// A server's end.
    pub(super) fn server(stream: impl Into<TlsStream<S>>) -> Self {
        Self {
            stream: stream.into(),
            has_certificate: None,
        }
    }

    fn told(&self, error: io::Error) -> io::Error {
        let fault = self
            .has_certificate
            .and_then(|has_certificate| meaning::of_stream(&error, has_certificate));
        match fault {
            Some(fault) => io::Error::new(error.kind(), fault),
            None => error,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.stream).poll_read(cx, buf)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => Poll::Ready(read.map_err(|error| self.told(error))),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
