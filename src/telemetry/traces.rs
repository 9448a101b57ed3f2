//! Traces by OpenTelemetry, in builds with the feature `otlp`: a span for each request, and below it
//! one for each statement and each exchange at Postiz.
//!
//! Spans hold what the log holds: patterns of routes, names of statements, references of grants.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata, Span, Subscriber, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::config::BaseUrl;
use crate::outbound;

const SERVICE: &str = "postiz-auth-server";

/// Sends spans to the collector at `endpoint`, in batches, from a thread of its own.
pub(super) fn provider(endpoint: &BaseUrl) -> Option<SdkTracerProvider> {
    // A blocking client starts a runtime, which is forbidden on a thread of another runtime.
    let client = std::thread::spawn(outbound::blocking_client).join().ok()?;
    let exporter = client.map_err(|error| error.to_string()).and_then(|client| {
        let exporter = SpanExporter::builder().with_http().with_http_client(client);
        exporter.with_endpoint(endpoint.join("/v1/traces")).build().map_err(|error| error.to_string())
    });
    match exporter {
        Ok(exporter) => Some(
            SdkTracerProvider::builder()
                .with_resource(Resource::builder().with_service_name(SERVICE).build())
                .with_batch_exporter(exporter)
                .build(),
        ),
        Err(error) => {
            warn!(error, "no traces: the exporter can't be set up");
            None
        }
    }
}

/// Turns our spans into OpenTelemetry's, independently of `RUST_LOG`.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SERVICE))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    layer.with_filter(filter_fn(is_ours))
}

/// Other crates' spans may hold what passes through them.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("postiz_auth_server") && (metadata.is_span() || *metadata.level() <= Level::INFO)
}

/// The headers of W3C's Trace Context.
struct Headers<'a, F: Fn(&str) -> Option<&'a str>>(F);

impl<'a, F: Fn(&str) -> Option<&'a str>> Extractor for Headers<'a, F> {
    fn get(&self, name: &str) -> Option<&str> {
        (self.0)(name)
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// Makes a request's span part of its caller's trace, and names it by OpenTelemetry's conventions.
pub(crate) fn begin<'a>(span: &Span, name: String, header: impl Fn(&str) -> Option<&'a str>) {
    let caller = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(header));
    // Fails if the span is not recorded at all.
    let _ = span.set_parent(caller);
    span.context().span().update_name(name);
}

pub(crate) fn end(span: &Span, status: u16) {
    span.set_attribute("http.response.status_code", i64::from(status));
}
