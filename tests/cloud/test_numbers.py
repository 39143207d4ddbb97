"""The integer ids of the 1.0 API, on every kind of database."""

from concurrent.futures import ThreadPoolExecutor

from nova_api.cloud.numbers import FIRST
from nova_api.context import new_uuid
from tests.openstack.fakes import IMAGES, Door


def test_many_at_once_get_one_number_each(any_cloud: Door) -> None:
    """Requests that see the same images first, each in an order of its own."""
    numbers, uuids = any_cloud.cloud.runtime.numbers, [new_uuid() for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda at: numbers.of_images(uuids[at % 7 :][:: 1 if at % 2 else -1]), range(32)))
    whole = numbers.of_images(uuids)
    assert all(whole[uuid] == number for one in seen for uuid, number in one.items())
    assert len(set(whole.values())) == len(uuids)
    assert all(numbers.image(number) == uuid for uuid, number in whole.items())


def test_images_and_flavors_do_not_share_a_sequence(any_cloud: Door) -> None:
    numbers = any_cloud.cloud.runtime.numbers
    image = numbers.of_images([new_uuid()])
    flavor = numbers.of_flavors(["small.one", "7", "007"])
    assert (flavor["7"], numbers.flavor(7)) == (7, "7")
    assert flavor["small.one"] > FIRST < flavor["007"] != flavor["small.one"]
    assert numbers.flavor(flavor["007"]) == "007"
    following = numbers.of_images([new_uuid()])
    assert next(iter(following.values())) == next(iter(image.values())) + 1


def test_what_is_not_there_has_no_name(any_cloud: Door) -> None:
    numbers = any_cloud.cloud.runtime.numbers
    for number in (0, -1, 987654, 2**63 - 1, 2**63, 10**18 - 1):
        assert numbers.image(number) is None
    assert numbers.flavor(FIRST + 987654) is None
    assert numbers.of_images([]) == numbers.of_flavors([]) == {}
    assert len(numbers.of_images(IMAGES.values())) == len(IMAGES)
