from nova_api.db import models
from tests.nodes.conftest import World


def test_the_host_follows_the_datastore(world: World) -> None:
    world.start()
    first, second = world.running(), world.running()
    fixed = {row.instance_id: row for row in world.rows(models.fixed_ips, models.fixed_ips.c.instance_id.is_not(None))}
    floating = world.insert(
        models.floating_ips,
        address="192.0.2.9",
        pool="nova",
        project_id="acme",
        fixed_ip_id=fixed[first.id].id,
    )
    table = world.network.driver.table  # type: ignore[attr-defined]

    def tell(method: str, **args: str) -> dict[str, str]:
        world.cast("network", method, **args)
        world.settle()
        return dict(table)

    to_first = {"192.0.2.9": fixed[first.id].address}
    message = {"floating_address": "192.0.2.9", "fixed_address": fixed[first.id].address}
    assert tell("associate_floating_ip", **message) == to_first
    # An order that was overtaken: the address points to the second when the first message comes again.
    world.update(models.floating_ips, floating, fixed_ip_id=fixed[second.id].id)
    assert tell("associate_floating_ip", **message) == {"192.0.2.9": fixed[second.id].address}
    assert tell("disassociate_floating_ip", address="192.0.2.9") == {"192.0.2.9": fixed[second.id].address}
    world.update(models.floating_ips, floating, fixed_ip_id=None)
    assert tell("disassociate_floating_ip", address="192.0.2.9") == {}


def test_a_new_process_programs_the_host_again(world: World) -> None:
    world.start()
    world.running()
    (fixed,) = world.rows(models.fixed_ips, models.fixed_ips.c.instance_id.is_not(None))
    world.insert(models.floating_ips, address="192.0.2.9", pool="nova", project_id="acme", fixed_ip_id=fixed.id)
    world.stop()
    world.start()
    assert world.network.driver.table == {"192.0.2.9": fixed.address}  # type: ignore[attr-defined]
