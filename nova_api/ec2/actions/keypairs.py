"""Key pair actions (spec ec2.md 4.2)."""

from collections.abc import Sequence
from typing import Any

from nova_api import errors, limits
from nova_api.cloud.keypairs import decode_material
from nova_api.context import RequestContext
from nova_api.ec2.dialect import ESSEX, Dialect
from nova_api.ec2.params import Base64, Filter, Filters, ListOf, Text
from nova_api.ec2.table import ALL, Action

#: The name's own error says how long it may be: here only what is not worth echoing is cut off.
_NAME = Text(max=4096, required=True)

ACTIONS: tuple[Action, ...] = (
    Action(
        "DescribeKeyPairs",
        "describe_key_pairs",
        ALL,
        {"KeyName": ListOf(Text(), most=limits.MAX_IDS), "Filter": Filters()},
    ),
    Action("CreateKeyPair", "create_key_pair", ALL, {"KeyName": _NAME}, secret=True),
    Action(
        "ImportKeyPair",
        "import_key_pair",
        ALL,
        {
            "KeyName": _NAME,
            "PublicKeyMaterial": Base64(max=limits.MAX_PUBLIC_KEY * 2, error=errors.InvalidKeyFormat, required=True),
        },
    ),
    Action("DeleteKeyPair", "delete_key_pair", ALL, {"KeyName": Text(max=4096, required=True)}),
)


class KeyPairActions:
    """The key pair actions of CloudController."""

    runtime: Any

    def describe_key_pairs(
        self,
        context: RequestContext,
        key_name: Sequence[str] | None = None,
        *,
        filter: Sequence[Filter] = (),
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Key pairs of the user.

        :param key_name: only these; names that do not exist are left out in 2012.1's dialect
        :raises KeypairNotFound: one does not exist, in today's dialect
        """
        found = self.runtime.key_pairs.list(
            context,
            key_name,
            filters=[(one.name, one.values) for one in filter],
            all_known=dialect.unknown_key_pairs_refused,
        )
        return {
            "keySet": [
                {
                    "keyName": row.name,
                    "keyFingerprint": row.fingerprint,
                    **dialect.added({"keyPairId": key_pair_id(row.id), "createTime": row.created_at}),
                }
                for row in found
            ]
        }

    def create_key_pair(
        self, context: RequestContext, key_name: str, *, dialect: Dialect = ESSEX, **kwargs: object
    ) -> dict[str, object]:
        """A new pair; the answer is the only place where the private key ever stands."""
        number, fingerprint, material = self.runtime.key_pairs.create(context, key_name)
        return {
            "keyName": key_name,
            "keyFingerprint": fingerprint,
            "keyMaterial": material,
            **dialect.added({"keyPairId": key_pair_id(number)}),
        }

    def import_key_pair(
        self,
        context: RequestContext,
        key_name: str,
        public_key_material: str,
        *,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Take over a public key.

        :param public_key_material: base64 of an OpenSSH line
        """
        line = decode_material(public_key_material)
        number, fingerprint = self.runtime.key_pairs.import_public(context, key_name, line)
        return {
            "keyName": key_name,
            "keyFingerprint": fingerprint,
            **dialect.added({"keyPairId": key_pair_id(number)}),
        }

    def delete_key_pair(self, context: RequestContext, key_name: str, **kwargs: object) -> bool:
        """End a pair, also one that does not exist."""
        self.runtime.key_pairs.delete(context, key_name)
        return True


def key_pair_id(number: int) -> str:
    """``key-0000002a``, which today's SDKs show."""
    return f"key-{number:08x}"
