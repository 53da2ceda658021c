//! What is read from an X.509 certificate: its channel-binding hash, its names, until when it is valid.
//! Not here: whether it is trusted (rustls decides).

use std::time::SystemTime;

use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::der::oid::db::rfc5912;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::names::Names;

/// The `tls-server-end-point` channel binding of a certificate (RFC 5929 section 4.1): its hash by the
/// function of its signature, where MD5 and SHA-1 become SHA-256. `None` where the RFC names none, as
/// for Ed25519; such a certificate cannot be bound to.
pub fn end_point_hash(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(der).ok()?;
    const MD5_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.4");
    match certificate.signature_algorithm.oid {
        MD5_WITH_RSA
        | rfc5912::SHA_1_WITH_RSA_ENCRYPTION
        | rfc5912::SHA_256_WITH_RSA_ENCRYPTION
        | rfc5912::ECDSA_WITH_SHA_256 => Some(Sha256::digest(der).to_vec()),
        rfc5912::SHA_384_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_384 => {
            Some(Sha384::digest(der).to_vec())
        }
        rfc5912::SHA_512_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_512 => {
            Some(Sha512::digest(der).to_vec())
        }
        _ => None,
    }
}

/// The common name of a certificate's subject, if it has exactly one; `None` also if it cannot be read.
pub fn common_name(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let mut names = certificate
        .tbs_certificate
        .subject
        .0
        .iter()
        .flat_map(|rdn| rdn.0.iter())
        .filter(|attribute| attribute.oid == COMMON_NAME);
    let value = &names.next()?.value;
    if names.next().is_some() {
        return None;
    }
    let name = if let Ok(text) = value.decode_as::<Utf8StringRef<'_>>() {
        text.as_str().to_owned()
    } else if let Ok(text) = value.decode_as::<PrintableStringRef<'_>>() {
        text.as_str().to_owned()
    } else {
        value.decode_as::<TeletexStringRef<'_>>().ok()?.as_str().to_owned()
    };
    // A NUL would let a name end early somewhere else (CVE-2009-4034 in PostgreSQL).
    (!name.contains('\0')).then_some(name)
}

/// The names a user can be mapped from. A certificate that cannot be read has none; one with alternative names
/// that cannot be read has none of those.
pub fn names(der: &[u8]) -> Names {
    let mut names = Names { common_name: common_name(der), ..Names::default() };
    let Ok(certificate) = Certificate::from_der(der) else { return names };
    let Ok(Some((_, SubjectAltName(alternatives)))) = certificate.tbs_certificate.get::<SubjectAltName>()
    else {
        return names;
    };
    for name in &alternatives {
        let (list, text) = match name {
            GeneralName::DnsName(text) => (&mut names.dns, text),
            GeneralName::Rfc822Name(text) => (&mut names.email, text),
            GeneralName::UniformResourceIdentifier(text) => (&mut names.uri, text),
            GeneralName::OtherName(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EdiPartyName(_)
            | GeneralName::IpAddress(_)
            | GeneralName::RegisteredId(_) => continue,
        };
        if !text.as_str().contains('\0') {
            list.push(text.as_str().to_owned());
        }
    }
    names
}

/// Who a certificate is for, for messages, and the end of its validity; `None` if it cannot be read.
pub fn expiry(der: &[u8]) -> Option<(String, SystemTime)> {
    let certificate = Certificate::from_der(der).ok()?.tbs_certificate;
    Some((certificate.subject.to_string(), certificate.validity.not_after.to_system_time()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_and_name_of_a_certificate() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["db.example".into()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "nurse_amy");
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(end_point_hash(certificate.der()), Some(Sha384::digest(certificate.der()).to_vec()));
        assert_eq!(common_name(certificate.der()).as_deref(), Some("nurse_amy"));
        assert_eq!((end_point_hash(b"0"), common_name(b"")), (None, None));
    }

    #[test]
    fn alternative_names_and_the_end() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["db.example".into()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "amy");
        let text = |text: &str| rcgen::string::Ia5String::try_from(text).unwrap();
        params.subject_alt_names.push(rcgen::SanType::Rfc822Name(text("amy@clinic.example")));
        params.subject_alt_names.push(rcgen::SanType::URI(text("spiffe://clinic/amy")));
        params.subject_alt_names.push(rcgen::SanType::Rfc822Name(text("root\0@clinic.example")));
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let certificate = params.self_signed(&key).unwrap();
        let names = names(certificate.der());
        assert_eq!(names.common_name.as_deref(), Some("amy"));
        assert_eq!((names.dns, names.uri), (vec!["db.example".into()], vec!["spiffe://clinic/amy".into()]));
        assert_eq!(names.email, ["amy@clinic.example"], "a name with a NUL is none");
        let (subject, end) = expiry(certificate.der()).unwrap();
        assert_eq!(subject, "CN=amy");
        assert_eq!(end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), 1_927_843_200);
        assert_eq!((super::names(b"0"), expiry(b"0")), (Names::default(), None));
    }

    #[test]
    fn ed25519_cannot_be_bound_to() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let params = rcgen::CertificateParams::new(vec!["db.example".into()]).unwrap();
        assert_eq!(end_point_hash(params.self_signed(&key).unwrap().der()), None);
    }
}
