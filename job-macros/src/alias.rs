//! Writes what lets a boxed job be decoded by its earlier names: typetag knows one name a type, so that each alias is a
//! type of its own around the job.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{LitStr, Path};

/// Writes the type behind one alias; `typetag` is in scope.
pub(crate) fn expand(root: &Path, job: &Ident, alias: &LitStr) -> TokenStream {
    let private = quote!(#root::__private);
    let json = json(&private, job);
    quote! {
        const _: () = {
            struct __JobUnderAlias(#job);

            #json

            #[typetag::serde(name = #alias)]
            #[automatically_derived]
            impl #private::AnyJob for __JobUnderAlias {
                fn kind(&self) -> &'static ::core::primitive::str {
                    <#job as #private::Job>::KIND
                }

                fn options(&self) -> &'static #private::JobOptions {
                    #private::options_of::<#job>()
                }

                fn payload(&self) -> #private::PayloadResult {
                    #private::payload_of::<#job>(&self.0)
                }
            }
        };
    }
}

/// The JSON of the wrapper is the job's own.
fn json(private: &TokenStream, job: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl #private::serde::Serialize for __JobUnderAlias {
            fn serialize<S>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error>
            where
                S: #private::serde::Serializer,
            {
                #private::write_job::<#job, S>(&self.0, serializer)
            }
        }

        #[automatically_derived]
        impl<'de> #private::serde::Deserialize<'de> for __JobUnderAlias {
            fn deserialize<D>(deserializer: D) -> ::core::result::Result<Self, D::Error>
            where
                D: #private::serde::Deserializer<'de>,
            {
                #private::read_job::<#job, D>(deserializer).map(Self)
            }
        }
    }
}
