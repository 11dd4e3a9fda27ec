//! ApiVersions, versions 0 to 4: what this broker answers (KIP-35, 511), and its finalized features (KIP-584).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, code, text, versions};

/// Features clients look at, with the level in force: `group.version` 1 is KIP-848, `transaction.version` 2 is
/// KIP-890, `metadata.version` 27 is Kafka 4.1.
const FEATURES: &[(&str, i16, i16)] =
    &[("group.version", 0, 1), ("metadata.version", 7, 27), ("transaction.version", 0, 2)];

impl Serve for ApiVersionsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 4 };

    async fn serve(self, call: &mut Call<'_>) -> ApiVersionsResponse {
        let named = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
        let software = [&self.client_software_name, &self.client_software_version];
        if call.version >= 3 && software.iter().any(|name| name.is_empty() || !named(name)) {
            return response(call.version, Some(ResponseError::InvalidRequest));
        }
        response(call.version, None)
    }

    fn refuse(&self, version: i16, error: ResponseError) -> ApiVersionsResponse {
        response(version, Some(error))
    }
}

/// The list, also sent along with an error where that is about the version (KIP-511).
pub(super) fn response(version: i16, error: Option<ResponseError>) -> ApiVersionsResponse {
    let listed = |(key, range): (ApiKey, VersionRange)| {
        ApiVersion::default().with_api_key(key as i16).with_min_version(range.min).with_max_version(range.max)
    };
    let response = ApiVersionsResponse::default()
        .with_error_code(code(error))
        .with_api_keys(versions().into_iter().map(listed).collect());
    if version < 3 {
        return response;
    }
    let supported = |(name, min, max): &(&'static str, i16, i16)| {
        let min = if version >= 4 { *min } else { (*min).max(1) };
        SupportedFeatureKey::default().with_name(text(*name)).with_min_version(min).with_max_version(*max)
    };
    let finalized = |(name, _, level): &(&'static str, i16, i16)| {
        FinalizedFeatureKey::default()
            .with_name(text(*name))
            .with_min_version_level(*level)
            .with_max_version_level(*level)
    };
    response
        .with_supported_features(FEATURES.iter().map(supported).collect())
        .with_finalized_features(FEATURES.iter().map(finalized).collect())
        .with_finalized_features_epoch(1)
}
