"""EC2 and Auto Scaling: interfaces' groups, rules, ACLs, routes, metadata options, processes."""

from __future__ import annotations

from typing import Any

from breakglass_aws.sandbox.states.reading import by, fields, named, plain, tags


def ec2() -> dict[str, Any]:
    """Return the network as instances have it."""
    from moto.ec2.models import ec2_backends

    return {place: _region(backend) for place, backend in named(ec2_backends)}


def _region(backend: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
    groups = [group for by_vpc in backend.groups.values() for group in by_vpc.values()]
    return {
        "instances": {
            one.id: {
                "state": one.state,
                "metadata": plain(_options(one)),
                "profile": plain(_profile(backend, one)),
                "interfaces": {str(index): nic.id for index, nic in sorted(one.nics.items())},
                "tags": tags({tag["key"]: tag["value"] for tag in one.get_tags()}),
            }
            for reservation in backend.reservations.values()
            for one in by(reservation.instances, "id")
        },
        "interfaces": {
            one.id: {"groups": sorted(group.id for group in one._group_set), "check": one.source_dest_check}  # noqa: SLF001 - moto has no other name
            for one in by(backend.enis.values(), "id")
        },
        "groups": {
            one.id: {
                "name": one.name,
                "in": sorted(_rule(rule) for rule in one.ingress_rules),
                "out": sorted(_rule(rule) for rule in one.egress_rules),
            }
            for one in by(groups, "id")
        },
        "acls": {
            one.id: {
                "subnets": sorted(str(link.subnet_id) for link in one.associations),
                "entries": sorted(_entry(entry) for entry in one.entries),
            }
            for one in by(backend.network_acls.values(), "id")
        },
        "routes": {
            one.id: {
                "subnets": sorted(str(link.get("SubnetId", "main")) for link in one.associations),
                "routes": sorted(f"{route.destination_cidr_block} {_through(route)}" for route in one.routes),
            }
            for one in by(backend.route_tables.values(), "id")
        },
    }


def _options(instance: Any) -> Any:  # noqa: ANN401 - moto's
    options = getattr(instance, "metadata_options", None)
    told = options if isinstance(options, dict) else getattr(options, "__dict__", {})
    return {name: value for name, value in told.items() if isinstance(value, str | int | bool)}


def _profile(backend: Any, instance: Any) -> Any:  # noqa: ANN401 - moto's
    link = backend.iam_instance_profile_associations.get(instance.id)
    if link is not None:
        return link.iam_instance_profile.arn
    named_one = instance.iam_instance_profile
    return named_one if isinstance(named_one, str | dict) else getattr(named_one, "arn", None)


def _rule(one: Any) -> str:  # noqa: ANN401 - moto's
    source = one.cidr_ipv4 or one.cidr_ipv6 or one.prefix_list_id or plain(one.source_group)
    return f"{one.ip_protocol} {one.from_port}-{one.to_port} {source} {one.description or ''}".rstrip()


def _entry(one: Any) -> str:  # noqa: ANN401 - moto's
    ports = f"{one.port_range_from}-{one.port_range_to}"
    side = "out" if str(one.egress).lower() == "true" else "in"
    return f"{int(one.rule_number):05} {side} {one.rule_action} {one.protocol} {ports} {one.cidr_block}"


def _through(route: Any) -> str:  # noqa: ANN401 - moto's
    return str(route.gateway_id or route.nat_gateway_id or route.transit_gateway_id or route.instance_id)


def groups() -> dict[str, Any]:
    """Return Auto Scaling groups: sizes, processes, and where each instance stands."""
    from moto.autoscaling.models import autoscaling_backends

    return {
        place: {
            one.name: {
                **fields(one, "min_size", "max_size", "desired_capacity"),
                "suspended": sorted(str(process["ProcessName"]) for process in one.suspended_processes or ()),
                "instances": {
                    state.instance.id: {
                        "lifecycle": state.lifecycle_state,
                        "protected": bool(state.protected_from_scale_in),
                    }
                    for state in sorted(one.instance_states, key=lambda held: str(held.instance.id))
                },
            }
            for one in by(backend.autoscaling_groups.values(), "name")
        }
        for place, backend in named(autoscaling_backends)
    }


STATES = {"autoscaling": groups, "ec2": ec2}
