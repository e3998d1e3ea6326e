"""Instance metadata options that keep what a call does not name; moto resets those to its defaults.

Source: EC2 API reference, ModifyInstanceMetadataOptions: "If a parameter is not specified, the existing state
is maintained".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass_aws.sandbox.call import Call, Handler, Refusal

_OPTIONS = {
    "HttpTokens": "http_tokens",
    "HttpPutResponseHopLimit": "http_put_response_hop_limit",
    "HttpEndpoint": "http_endpoint",
    "HttpProtocolIpv6": "http_protocol_ipv6",
    "InstanceMetadataTags": "instance_metadata_tags",
}


def modify(call: Call) -> Mapping[str, Any]:
    """Set the options that are named, and no other."""
    from moto.ec2.exceptions import InvalidInstanceIdError
    from moto.ec2.models import ec2_backends

    name = str(call.params["InstanceId"])
    try:
        instance = ec2_backends[call.account][call.region].get_instance(name)
    except InvalidInstanceIdError as error:
        raise Refusal("InvalidInstanceID.NotFound", f"The instance ID '{name}' does not exist") from error
    options = instance.metadata_options
    for key, attribute in _OPTIONS.items():
        if key in call.params:
            setattr(options, attribute, call.params[key])
    shown = {key: getattr(options, attribute) for key, attribute in _OPTIONS.items()}
    return {"InstanceId": name, "InstanceMetadataOptions": {"State": "applied", **shown}}


HANDLERS: Mapping[tuple[str, str], Handler] = {("ec2", "ModifyInstanceMetadataOptions"): modify}
