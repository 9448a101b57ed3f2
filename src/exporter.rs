//! `GET /metrics` on a port of its own, for Prometheus: `OpenMetrics` text.
//!
//! Not on the public port: how many people log in is the operator's business alone.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::error::ErrorInternalServerError;
use actix_web::web::{Data, get};
use actix_web::{App, HttpResponse, HttpServer};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, text};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tracing::info;

use crate::flow::DeviceFlow;

/// Every metric's name begins with it.
const PREFIX: &str = "postiz_auth";
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until the handle stops it.
pub fn start(flow: &Arc<DeviceFlow>, address: SocketAddr) -> io::Result<ServerHandle> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    let registry = Data::new(registry(flow));
    let server =
        HttpServer::new(move || App::new().app_data(Data::clone(&registry)).route("/metrics", get().to(scrape)))
            .workers(1)
            .disable_signals()
            .listen(listener)?
            .run();
    let handle = server.handle();
    tokio::spawn(server);
    info!(%address, "metrics are served");
    Ok(handle)
}

async fn scrape(registry: Data<Registry>) -> actix_web::Result<HttpResponse> {
    let mut text = String::new();
    text::encode(&mut text, &registry).map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}

fn registry(flow: &Arc<DeviceFlow>) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register("build", "Version of this server", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    flow.metrics().register(&mut registry);
    flow.limits().metrics().register(&mut registry, "limits_met", "Requests that met a limit");
    flow.postiz().exchanges().register(&mut registry, "exchanges", "exchange");
    flow.postiz().registrations().register(&mut registry, "registrations", "registration");
    registry.register_collector(Box::new(Gauges(Arc::clone(flow))));
    registry
}

/// Read at each scrape.
#[derive(Debug)]
struct Gauges(Arc<DeviceFlow>);

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let database = self.0.store().database();
        let (load, (held, most_held)) = (database.load(), self.0.limits().held_polls());
        for (name, help, value) in [
            ("polls_held", "Held polls", held),
            ("polls_held_limit", "Polls that may be held (MAX_HELD_POLLS)", most_held),
            ("database_connections", "Open connections to the database", load.size),
            ("database_connections_idle", "Open connections that are not in use", load.available),
            ("database_connections_limit", "Connections that may be open (DATABASE_POOL_SIZE)", load.max_size),
            ("database_connections_awaited", "Statements that wait for a connection", load.waiting),
            ("database_reachable", "Whether the database is reached", usize::from(database.is_available())),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
