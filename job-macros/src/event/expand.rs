//! Writes the code of one event, by absolute paths only.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, LitStr, Path};

use crate::event::check::default_kind;
use crate::event::field::Field;
use crate::event::options::{Options, Route};
use crate::key::{Piece, pieces};

/// A checked event.
pub(super) struct Event<'a> {
    /// The type.
    pub(super) input: &'a DeriveInput,
    /// Its fields.
    pub(super) fields: &'a [Field],
    /// What it says about itself.
    pub(super) options: &'a Options,
    /// The crate with `__private`.
    pub(super) root: &'a Path,
}

impl Event<'_> {
    /// Writes everything that an event has.
    pub(super) fn expand(&self) -> TokenStream {
        let root = self.root;
        let (target, headers) = (self.target(), self.headers());
        self.implementation(&quote! {
            fn target(&self) -> #root::__private::EventResult<#root::__private::Target> {
                #target
            }

            #headers
        })
    }

    /// Writes what keeps other code from failing because of a mistake that was told already.
    pub(super) fn expand_stub(&self) -> TokenStream {
        if matches!(self.input.data, Data::Union(_)) {
            return TokenStream::new();
        }
        let root = self.root;
        self.implementation(&quote! {
            fn target(&self) -> #root::__private::EventResult<#root::__private::Target> {
                ::core::result::Result::Ok(#root::__private::Target::Headers)
            }
        })
    }

    fn implementation(&self, items: &TokenStream) -> TokenStream {
        let (root, ident, kind) = (self.root, &self.input.ident, self.kind());
        let (impl_generics, type_generics, clause) = self.input.generics.split_for_impl();
        quote! {
            #[automatically_derived]
            impl #impl_generics #root::__private::Event for #ident #type_generics #clause {
                const KIND: &'static ::core::primitive::str = #kind;

                #items
            }
        }
    }

    fn kind(&self) -> LitStr {
        let default = || LitStr::new(&default_kind(self.input), Span::call_site());
        self.options.name.clone().unwrap_or_else(default)
    }

    fn target(&self) -> TokenStream {
        let root = self.root;
        let target = match self.options.routes.first() {
            Some(Route::Topic(key)) => self.keyed("Topic", key),
            Some(Route::Direct(key)) => self.keyed("Direct", key),
            Some(Route::Fanout(_, Some(name))) => self.named("Fanout", name),
            // At somebody else's exchange, the exchange is the fanout.
            Some(Route::Fanout(_, None)) => match &self.options.exchange {
                Some(exchange) => self.named("Fanout", exchange),
                None => TokenStream::new(),
            },
            Some(Route::Headers(_)) | None => quote!(#root::__private::Target::Headers),
        };
        match &self.options.exchange {
            Some(exchange) => quote!(#root::__private::at_exchange(#exchange, #target)),
            None => quote!(::core::result::Result::Ok(#target)),
        }
    }

    fn named(&self, variant: &str, name: &LitStr) -> TokenStream {
        let (root, variant) = (self.root, Ident::new(variant, Span::call_site()));
        quote!(#root::__private::Target::#variant(::std::borrow::ToOwned::to_owned(#name)))
    }

    fn keyed(&self, variant: &str, key: &LitStr) -> TokenStream {
        let (root, variant) = (self.root, Ident::new(variant, Span::call_site()));
        let pieces = pieces(&key.value()).unwrap_or_default();
        if pieces.iter().all(|piece| matches!(piece, Piece::Text(_))) {
            return quote!(#root::__private::Target::#variant(::std::borrow::ToOwned::to_owned(#key)));
        }
        let parts = pieces.iter().map(|piece| match piece {
            Piece::Text(text) => quote!(#root::__private::KeyPart::Text(#text)),
            Piece::Field(name) => {
                let member = self.fields.iter().find(|field| field.name == *name).map(|field| &field.member);
                quote_spanned!(member.span()=> #root::__private::KeyPart::Field(#name, &self.#member))
            }
        });
        quote!(#root::__private::Target::#variant(#root::__private::key_of(&[#(#parts),*])?))
    }

    fn headers(&self) -> TokenStream {
        let headers = self.fields.iter().filter_map(|field| Some((field.header.as_ref()?, &field.member)));
        let pairs: Vec<TokenStream> = headers
            .map(|(name, member)| {
                quote_spanned!(member.span()=> (#name, ::std::string::ToString::to_string(&self.#member)))
            })
            .collect();
        if pairs.is_empty() {
            return TokenStream::new();
        }
        quote! {
            fn headers(&self) -> ::std::collections::BTreeMap<&'static ::core::primitive::str, ::std::string::String> {
                ::std::collections::BTreeMap::from([#(#pairs),*])
            }
        }
    }
}
