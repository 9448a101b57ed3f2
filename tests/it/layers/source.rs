//! What one module of a crate defines, imports and names, as syn reads it.

use std::collections::BTreeSet;

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprCall, ExprMethodCall, Ident, Item, ItemUse, LitStr, Macro, UseTree, Visibility};

pub type Path = Vec<String>;

#[derive(Default)]
pub struct Module {
    pub file: String,
    pub items: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// Paths in types, expressions, patterns and macro calls, save for lone names of variables.
    pub paths: Vec<Path>,
    pub methods: BTreeSet<String>,
    pub strings: Vec<String>,
}

pub struct Import {
    pub path: Path,
    /// The name that it has here. `None`: a trait without a name (`as _`), or all names of a module (`*`).
    pub name: Option<String>,
    pub glob: bool,
    pub public: bool,
}

impl Module {
    pub fn new(file: &str, items: &[Item]) -> Self {
        let mut module = Self { file: file.to_owned(), ..Self::default() };
        for item in items.iter().filter(|item| !matches!(item, Item::Mod(_))) {
            module.items.extend(name(item).map(Ident::to_string));
            module.visit_item(item);
        }
        module
    }

    fn import(&mut self, tree: &UseTree, before: &[String], public: bool) {
        let joined =
            |ident: &Ident| if ident == "self" { before.to_vec() } else { [before, &[ident.to_string()]].concat() };
        let (path, name) = match tree {
            UseTree::Path(tree) => {
                return self.import(&tree.tree, &[before, &[tree.ident.to_string()]].concat(), public);
            }
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.import(tree, before, public)),
            UseTree::Name(tree) => (joined(&tree.ident), joined(&tree.ident).pop()),
            UseTree::Rename(tree) => (joined(&tree.ident), Some(tree.rename.to_string()).filter(|name| name != "_")),
            UseTree::Glob(_) => (before.to_vec(), None),
        };
        self.imports.push(Import { path, name, glob: matches!(tree, UseTree::Glob(_)), public });
    }

    /// A macro's arguments need not be Rust, so they are read word by word.
    fn read_tokens(&mut self, mut at: Cursor<'_>) {
        let mut after_dot = false;
        while !at.eof() {
            let dot = std::mem::take(&mut after_dot);
            if let Some((inside, _, _, next)) = at.any_group() {
                self.read_tokens(inside);
                at = next;
            } else if let Some((literal, next)) = at.literal() {
                self.strings.push(literal.to_string());
                at = next;
            } else if let Some((ident, next)) = at.ident() {
                let mut path = vec![ident.to_string()];
                at = next;
                while let Some((ident, next)) = after_colons(at).and_then(Cursor::ident) {
                    path.push(ident.to_string());
                    at = next;
                }
                if dot {
                    self.methods.extend(path.pop());
                } else {
                    self.add_path(path);
                }
            } else if let Some((punct, next)) = at.punct() {
                after_dot = punct.as_char() == '.';
                at = next;
            } else if let Some((_, next)) = at.token_tree() {
                at = next; // a lifetime
            }
        }
    }

    fn add_path(&mut self, path: Path) {
        if path.len() > 1 || path[0].starts_with(char::is_uppercase) {
            self.paths.push(path);
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add_path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        // A function of a lone name; elsewhere such a name is most often a variable.
        if let Expr::Path(function) = &*call.func {
            self.paths.extend(function.path.get_ident().map(|name| vec![name.to_string()]));
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.methods.insert(call.method.to_string());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.strings.push(text.value());
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.read_tokens(TokenBuffer::new2(call.tokens.clone()).begin());
    }

    // Documentation is an attribute, too; and `pub(in path)` uses nothing.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

fn after_colons(at: Cursor<'_>) -> Option<Cursor<'_>> {
    let (first, at) = at.punct()?;
    let (second, at) = at.punct()?;
    (first.as_char() == ':' && second.as_char() == ':').then_some(at)
}

fn name(item: &Item) -> Option<&Ident> {
    Some(match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    })
}
