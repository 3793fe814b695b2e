//! TLS before a server that has none, with certificates of an authority of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// An authority that signs certificates.
pub struct Authority(tempfile::TempDir);

impl Authority {
    pub fn new() -> Self {
        let authority = Self(tempfile::tempdir().unwrap());
        let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out certificate \
                         -subj /CN=Authority -days 30";
        authority.openssl(arguments);
        authority
    }

    /// Its own certificate, for who is to trust it.
    pub fn certificate(&self) -> PathBuf {
        self.0.path().join("certificate")
    }

    /// A server's certificate, such as for `IP:127.0.0.1`, that ends after so many days.
    fn sign(&self, whom: &str, end: &str) -> (PathBuf, PathBuf) {
        let path = |name: &str| self.0.path().join(name);
        fs::write(path("names"), format!("subjectAltName = {whom}")).unwrap();
        self.openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server-key -out request -subj /CN=Server",
        );
        self.openssl(&format!(
            "x509 -req -in request -CA certificate -CAkey key -CAcreateserial -extfile names -out server \
             -not_before 20200101000000Z -not_after {end}"
        ));
        (path("server"), path("server-key"))
    }

    fn openssl(&self, arguments: &str) {
        let output =
            Command::new("openssl").args(arguments.split_whitespace()).current_dir(&self.0).output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What stands before a server. It ends when this is dropped.
pub struct Front {
    pub port: u16,
    let_in: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

impl Front {
    /// Before the server at `port` of this machine. `end` is when its certificate ends, as openssl(1) takes it.
    pub fn before(port: u16, authority: &Authority, whom: &str, end: &str) -> Self {
        let (certificate, key) = authority.sign(whom, end);
        let certificates = CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap).collect();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(certificates, read_key(&key))
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let let_in = Arc::new(AtomicUsize::new(0));
        runtime.spawn(serve(listener, acceptor, port, Arc::clone(&let_in)));
        Self { port: own_port, let_in, _runtime: runtime }
    }

    /// How many connections got as far as that something could be said.
    pub fn let_in(&self) -> usize {
        self.let_in.load(Ordering::SeqCst)
    }
}

fn read_key(file: &Path) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(file).unwrap()
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, port: u16, let_in: Arc<AtomicUsize>) {
    while let Ok((outside, _)) = listener.accept().await {
        let (acceptor, let_in) = (acceptor.clone(), Arc::clone(&let_in));
        tokio::spawn(async move {
            let Ok(mut outside) = acceptor.accept(outside).await else { return };
            let_in.fetch_add(1, Ordering::SeqCst);
            let mut inside = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            // Either side may end it.
            let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
        });
    }
}
