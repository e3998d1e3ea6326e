"""Reads moto's network: an interface's groups, its subnet's ACL and routes; and puts its groups right."""

from __future__ import annotations

from typing import Any

from breakglass_aws.sandbox.call import Call, Refusal
from breakglass_aws.sandbox.platform import backends
from breakglass_aws.sandbox.platform.reach import ALL_PORTS, EVERYWHERE, AclEntry, Hop, Permit

IMPLICIT = "igw-default"
"""The gateway that every default VPC has (VPC User Guide, "Default VPCs"); moto makes none."""


def correct() -> None:
    """Make a group belong to interfaces only; an instance shows those of its primary one.

    EC2 API reference, ModifyInstanceAttribute: Groups "replaces the security groups of the instance" on its
    primary network interface.
    """
    from moto.ec2.models.elastic_network_interfaces import NetworkInterface
    from moto.ec2.models.instances import Instance, InstanceBackend

    def modify(self: Any, instance_id: str, new_group_id_list: list[str]) -> Any:  # noqa: ANN401 - moto's
        instance = self.get_instance(instance_id)
        groups = [self.get_security_group_from_id(one) for one in new_group_id_list]
        if 0 in instance.nics:
            instance.nics[0]._group_set = groups  # noqa: SLF001 - moto has no setter
        return instance

    def shown(self: Any) -> list[Any]:  # noqa: ANN401 - moto's
        nics = getattr(self, "nics", {})
        return list(nics[0]._group_set) if 0 in nics else list(getattr(self, "_given_groups", ()))  # noqa: SLF001 - as above

    def given(self: Any, groups: list[Any]) -> None:  # noqa: ANN401 - moto's
        self._given_groups = groups

    NetworkInterface.private_dns_name = ""  # of a VPC without DNS host names; moto sets none and asks for it
    NetworkInterface.group_set = property(lambda self: list(self._group_set))
    Instance.dynamic_group_list = property(shown)
    Instance.security_groups = property(shown, given)
    InstanceBackend.modify_instance_security_groups = modify


def guard_groups(call: Call) -> None:
    """Refuse to set an instance's groups where it has several interfaces, or where a group is not there."""
    groups = call.params.get("Groups")
    backend = backend_of(call.account, call.region)
    for one in groups or ():
        if backend.get_security_group_from_id(one) is None:
            raise Refusal("InvalidGroup.NotFound", f"The security group '{one}' does not exist")
    instance = instance_of(backend, str(call.params.get("InstanceId", "")))
    if groups and instance is not None and len(instance.nics) > 1:
        text = f"There are multiple interfaces attached to instance '{instance.id}'. Please specify"
        raise Refusal("InvalidInstanceID", f"{text} an interface ID for the operation instead.")


def backend_of(account: str, region: str) -> Any:  # noqa: ANN401 - moto's
    """Return moto's EC2."""
    from moto.ec2.models import ec2_backends

    return ec2_backends[account][region]


def instances() -> list[tuple[Any, Any]]:
    """Return (backend, instance) of every instance there is."""
    from moto.ec2.models import ec2_backends

    return [
        (backend, instance)
        for _account, _region, backend in backends.existing(ec2_backends)
        for reservation in list(backend.reservations.values())
        for instance in list(reservation.instances)
    ]


def instance_of(backend: Any, instance_id: str) -> Any:  # noqa: ANN401 - moto's
    """Return an instance; None where there is none."""
    for reservation in list(backend.reservations.values()):
        for instance in reservation.instances:
            if instance.id == instance_id:
                return instance
    return None


def permits(interface: Any) -> list[Permit]:  # noqa: ANN401 - moto's
    """Return the rules of an interface's groups."""
    found = []
    for group in list(interface._group_set):  # noqa: SLF001 - as above
        sides = ((False, group.ingress_rules), (True, group.egress_rules))
        found += [_permit(rule, egress=egress) for egress, rules in sides for rule in list(rules)]
    return [one for one in found if one.cidr]


def _permit(rule: Any, *, egress: bool) -> Permit:  # noqa: ANN401 - moto's
    ports = (int(rule.from_port or 0), int(rule.to_port if rule.to_port is not None else ALL_PORTS[1]))
    return Permit(egress, str(rule.ip_protocol), ports, str(rule.cidr_ipv4 or ""))


def acl(backend: Any, subnet: Any) -> list[AclEntry]:  # noqa: ANN401 - moto's
    """Return the entries of a subnet's network ACL."""
    acls = list(backend.network_acls.values())
    own = [one for one in acls if any(link.subnet_id == subnet.id for link in one.associations)]
    default = [one for one in acls if one.vpc_id == subnet.vpc_id and one.default]
    return [
        AclEntry(
            int(one.rule_number),
            egress=str(one.egress).lower() == "true",
            allow=str(one.rule_action).lower() == "allow",
            protocol=str(one.protocol),
            ports=_ports(one),
            cidr=str(one.cidr_block),
        )
        for found in (own or default)[:1]
        for one in list(found.entries)
        if one.cidr_block
    ]


def _ports(entry: Any) -> tuple[int, int]:  # noqa: ANN401 - moto's
    if entry.port_range_from is None or entry.port_range_to is None:
        return ALL_PORTS
    return int(entry.port_range_from), int(entry.port_range_to)


def hops(backend: Any, subnet: Any) -> list[Hop]:  # noqa: ANN401 - moto's
    """Return the routes of a subnet."""
    tables = [one for one in list(backend.route_tables.values()) if one.vpc_id == subnet.vpc_id]
    own = [one for one in tables if any(link.get("SubnetId") == subnet.id for link in one.associations)]
    main = [one for one in tables if one.main_association_id is not None]
    found = [
        _hop(route) for table in (own or main)[:1] for route in table.routes if route.destination_cidr_block
    ]
    vpc = backend.vpcs.get(subnet.vpc_id)
    default = str(getattr(vpc, "is_default", False)).lower() == "true"
    if default and not any(one.cidr == EVERYWHERE for one in found):
        found.append(Hop(EVERYWHERE, IMPLICIT))
    return found


def _hop(route: Any) -> Hop:  # noqa: ANN401 - moto's
    through = route.gateway_id or route.nat_gateway_id or route.transit_gateway_id or route.instance_id
    return Hop(str(route.destination_cidr_block), str(through or ""))
