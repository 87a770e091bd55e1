//! The fields of an event: those that a key can name, and those that are headers too.

use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Index, LitStr, Member};

use crate::attr::{self, Value};
use crate::mistake::Mistakes;
use crate::value;

/// One field.
pub(super) struct Field {
    /// As a placeholder names it: `user_id`, or `0`.
    pub(super) name: String,
    /// As the code names it.
    pub(super) member: Member,
    /// The name of the header that has its value.
    pub(super) header: Option<LitStr>,
}

/// Reads the fields of a struct; another type is a mistake.
pub(super) fn read(input: &DeriveInput, mistakes: &mut Mistakes) -> Vec<Field> {
    match &input.data {
        Data::Struct(data) => {
            data.fields.iter().enumerate().map(|(place, field)| read_field(place, field, mistakes)).collect()
        }
        Data::Enum(data) => {
            mistakes.push(
                data.enum_token.span,
                "an event is a struct: one kind that goes one way; put the enum into a field of a struct",
            );
            Vec::new()
        }
        Data::Union(data) => {
            mistakes.push(data.union_token.span, "an event is a struct, and a union has no JSON; use a struct");
            Vec::new()
        }
    }
}

fn read_field(place: usize, field: &syn::Field, mistakes: &mut Mistakes) -> Field {
    let name = field.ident.as_ref().map_or_else(|| place.to_string(), |ident| ident.unraw().to_string());
    let member = match &field.ident {
        Some(ident) => Member::Named(ident.clone()),
        None => Member::Unnamed(Index { index: u32::try_from(place).unwrap_or(u32::MAX), span: field.ty.span() }),
    };
    let mut header = None;
    for entry in attr::read(&field.attrs, "event", "header", mistakes) {
        let read = match (&entry.value, &field.ident) {
            _ if entry.name != "header" => Err(Error::new(
                entry.name.span(),
                format!("a field takes `header` only; put `{}` above the struct", entry.name),
            )),
            (Value::None, Some(_)) => Ok(LitStr::new(&name, entry.name.span())),
            (Value::None, None) => Err(Error::new(
                entry.name.span(),
                "a field without a name says which header it is; write header = \"format\"",
            )),
            _ => value::text(&entry, "header = \"format\""),
        };
        match read {
            Ok(text) => header = Some(text),
            Err(error) => mistakes.add(error),
        }
    }
    Field { name, member, header }
}
