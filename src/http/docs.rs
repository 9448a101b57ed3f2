//! `/openapi.yaml`, and `/docs`: the same to read, from our own origin alone.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use askama::Template;
use serde::Deserialize;

use crate::http::pages::Page;
use crate::http::visitor::Visitor;

/// What is served is what the tests hold the server against.
const OPENAPI: &str = include_str!("../../openapi.yaml");

/// The description, as far as the page shows it.
#[derive(Debug, Deserialize)]
pub struct Description {
    info: Info,
    tags: Vec<Tag>,
    paths: BTreeMap<String, BTreeMap<String, Operation>>,
    components: Components,
}

#[derive(Debug, Deserialize)]
struct Info {
    description: String,
}

#[derive(Debug, Deserialize)]
struct Tag {
    name: String,
    description: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Operation {
    tags: Vec<String>,
    summary: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Vec<Or<Field>>,
    request_body: Option<Body>,
    responses: BTreeMap<String, Or<Response>>,
}

/// In place, or by its name among the components.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Or<T> {
    Named {
        #[serde(rename = "$ref")]
        name: String,
    },
    Here(T),
}

#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    #[serde(default)]
    description: String,
}

#[derive(Debug, Deserialize)]
struct Body {
    content: BTreeMap<String, Media>,
}

#[derive(Debug, Deserialize)]
struct Media {
    schema: Option<Or<Schema>>,
}

#[derive(Debug, Deserialize)]
struct Response {
    description: String,
    #[serde(default)]
    content: BTreeMap<String, Media>,
}

#[derive(Debug, Deserialize)]
struct Schema {
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    properties: BTreeMap<String, Property>,
}

#[derive(Debug, Deserialize)]
struct Property {
    #[serde(default)]
    description: String,
}

#[derive(Debug, Deserialize)]
struct Components {
    parameters: BTreeMap<String, Field>,
    responses: BTreeMap<String, Response>,
    schemas: BTreeMap<String, Schema>,
}

impl Description {
    fn parameter<'a>(&'a self, field: &'a Or<Field>) -> Option<&'a Field> {
        named(field, &self.components.parameters)
    }

    fn response<'a>(&'a self, response: &'a Or<Response>) -> Option<&'a Response> {
        named(response, &self.components.responses)
    }

    fn schema<'a>(&'a self, media: &'a Media) -> Option<&'a Schema> {
        named(media.schema.as_ref()?, &self.components.schemas)
    }
}

fn named<'a, T>(either: &'a Or<T>, components: &'a BTreeMap<String, T>) -> Option<&'a T> {
    match either {
        Or::Here(value) => Some(value),
        Or::Named { name } => components.get(name.rsplit('/').next()?),
    }
}

#[derive(Template)]
#[template(path = "docs.html")]
struct Docs<'a> {
    api: &'a Description,
}

/// The part of the page that does not depend on the server; rendered once.
static BODY: LazyLock<Option<String>> = LazyLock::new(|| {
    let api: Description = serde_saphyr::from_str(OPENAPI).ok()?;
    Docs { api: &api }.render().ok()
});

/// `/openapi.yaml`.
pub async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/yaml")
        .insert_header((CACHE_CONTROL, "public, max-age=3600"))
        .body(OPENAPI)
}

/// `/docs`.
pub async fn docs(visitor: Visitor) -> HttpResponse {
    match BODY.as_deref() {
        Some(body) => visitor.show(&Page::Docs { body }),
        None => visitor.show(&Page::Internal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_can_be_read_and_every_name_in_it_leads_somewhere() {
        let api: Description = serde_saphyr::from_str(OPENAPI).unwrap();
        let body = BODY.as_deref().unwrap();
        for (path, operations) in &api.paths {
            assert!(body.contains(&format!("<code>{path}</code>")), "{path}");
            for operation in operations.values() {
                assert!(operation.parameters.iter().all(|field| api.parameter(field).is_some()), "{path}");
                assert!(operation.responses.values().all(|response| api.response(response).is_some()), "{path}");
                let bodies = operation.request_body.iter().flat_map(|body| body.content.values());
                assert!(bodies.clone().all(|media| api.schema(media).is_some()), "{path}");
                assert!(api.tags.iter().any(|tag| tag.name == operation.tags[0]), "{path}");
            }
        }
    }
}
