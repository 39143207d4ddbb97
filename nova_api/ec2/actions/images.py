"""Image actions (spec ec2.md 4.6, 4.9, 4.10 CreateImage)."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nova_api import errors, limits
from nova_api.cloud.image import ImageQuery, ImageRecord, ImageSpec
from nova_api.context import RequestContext
from nova_api.ec2 import blockdevices, ids
from nova_api.ec2.dialect import ESSEX, Dialect
from nova_api.ec2.image_record import given_properties, record
from nova_api.ec2.paging import Page, page_of
from nova_api.ec2.params import Boolean, Filter, Filters, Integer, ListOf, Struct, Text
from nova_api.ec2.table import ALL, SYSADMIN, Action

_TYPE_NAMES = {"ami": "machine", "aki": "kernel", "ari": "ramdisk"}
#: ``bucket/manifest``: both there, no leading slash, characters of a URL path (spec ec2.md 2.9).
_LOCATION = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%-]+(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+\Z")

_PERMISSION_CHANGE = ListOf(Struct({"Group": Text(), "UserId": Text()}))
ACTIONS: tuple[Action, ...] = (
    Action(
        "DescribeImages",
        "describe_images",
        ALL,
        {
            "ImageId": ListOf(Text(), most=limits.MAX_IDS),
            "Owner": ListOf(Text()),
            "ExecutableBy": ListOf(Text()),
            "Filter": Filters(),
            "MaxResults": Integer(limits.MIN_PAGE, limits.MAX_PAGE),
            "NextToken": Text(),
        },
    ),
    Action(
        "DescribeImageAttribute",
        "describe_image_attribute",
        ALL,
        {"ImageId": Text(required=True), "Attribute": Text(required=True)},
    ),
    Action(
        "ModifyImageAttribute",
        "modify_image_attribute",
        SYSADMIN,
        {
            "ImageId": Text(required=True),
            "Attribute": Text(),
            "OperationType": Text(),
            "UserGroup": ListOf(Text()),
            "UserId": ListOf(Text()),
            "LaunchPermission": Struct({"Add": _PERMISSION_CHANGE, "Remove": _PERMISSION_CHANGE}),
            "Description": Struct({"Value": Text(max=limits.MAX_DESCRIPTION)}),
        },
    ),
    Action(
        "RegisterImage",
        "register_image",
        SYSADMIN,
        {
            "ImageLocation": Text(max=1024),
            "Name": Text(max=limits.MAX_NAME),
            "Description": Text(max=limits.MAX_DESCRIPTION),
            "Architecture": Text(max=64),
            "KernelId": Text(),
            "RamdiskId": Text(),
            "RootDeviceName": Text(),
            "BlockDeviceMapping": blockdevices.MAPPING,
        },
    ),
    Action("DeregisterImage", "deregister_image", SYSADMIN, {"ImageId": Text(required=True)}),
    Action(
        "UpdateImage",
        "update_image",
        SYSADMIN,
        {
            "ImageId": Text(required=True),
            "Name": Text(max=limits.MAX_NAME),
            "Description": Text(max=limits.MAX_DESCRIPTION),
            "IsPublic": Boolean(),
            "Properties": Struct({}, free=True),
        },
    ),
    Action(
        "CreateImage",
        "create_image",
        SYSADMIN,
        {
            "InstanceId": Text(required=True),
            "Name": Text(max=limits.MAX_NAME),
            "Description": Text(max=limits.MAX_DESCRIPTION),
            "NoReboot": Boolean(),
        },
    ),
)


class ImageActions:
    """The image actions of CloudController."""

    runtime: Any

    def describe_images(
        self,
        context: RequestContext,
        image_id: Sequence[str] | None = None,
        *,
        owner: Sequence[str] = (),
        executable_by: Sequence[str] = (),
        filter: Sequence[Filter] = (),
        max_results: int | None = None,
        next_token: str | None = None,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Images that the caller sees, oldest first; kernels and ramdisks are among them.

        :param image_id: ids or names; each must exist
        :param owner: project ids or ``self``
        :param executable_by: ``self``, ``all`` or project ids
        :raises ImageNotFound: one of ``image_id`` names none
        """
        page = Page(max_results, next_token)
        query = ImageQuery(
            ids=image_id or (),
            owners=owner,
            executable_by=executable_by,
            filters=[(one.name, one.values) for one in filter],
            after=page.after,
            limit=page.limit,
        )
        found, token = page_of(page, self.runtime.image.list(context, query), lambda image: image.number)
        answer: dict[str, object] = {"imagesSet": [_image(image, dialect) for image in found]}
        return answer if token is None else {**answer, "nextToken": token}

    def describe_image_attribute(
        self,
        context: RequestContext,
        image_id: str,
        attribute: str,
        *,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """One attribute of an image.

        :param attribute: ``launchPermission``, ``blockDeviceMapping``, ``rootDeviceName``; also ``kernel``,
            ``ramdisk`` and ``description`` in the dialect of today
        :raises UnsupportedOperation: another attribute; checked before the image, as in 2012.1
        :raises ImageNotFound: no such image
        """
        shown = {**_ATTRIBUTES, **(_MODERN_ATTRIBUTES if dialect.modern_elements else {})}
        if attribute not in shown:
            raise errors.UnsupportedOperation(f"attribute not supported: {attribute}")
        image = self.runtime.image.get(context, image_id)
        return {"imageId": _image_id(image), **shown[attribute](image, dialect)}

    def modify_image_attribute(
        self,
        context: RequestContext,
        image_id: str,
        attribute: str | None = None,
        operation_type: str | None = None,
        *,
        user_group: Sequence[str] = (),
        user_id: Sequence[str] = (),
        launch_permission: Mapping[str, Any] | None = None,
        description: Mapping[str, str] | None = None,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> bool:
        """Give an image to everybody, or take it back; today's dialect also changes the description.

        :raises UnsupportedOperation: anything but the group ``all`` of ``launchPermission``; 2012.1 made the image
            public for any single group (spec ec2.md 9, row 11)
        :raises ImageNotAuthorized: somebody else's image
        """
        if description and "value" in description:
            self.runtime.image.update(context, image_id, description=description["value"])
            return True
        public = _wanted_publicity(attribute, operation_type, user_group, user_id, launch_permission)
        self.runtime.image.set_public(context, image_id, public)
        return True

    def register_image(
        self,
        context: RequestContext,
        image_location: str | None = None,
        *,
        name: str | None = None,
        description: str = "",
        architecture: str | None = None,
        kernel_id: str | None = None,
        ramdisk_id: str | None = None,
        root_device_name: str | None = None,
        block_device_mapping: Sequence[Mapping[str, Any]] = (),
        **kwargs: object,
    ) -> dict[str, object]:
        """Record an image by the place of its manifest, or by the snapshots it consists of.

        :param image_location: ``bucket/manifest``
        :raises UnsupportedOperation: neither location nor name, in the words of 2012.1
        :raises InvalidParameterValue: a location of another form
        """
        if not image_location and not name:
            raise errors.UnsupportedOperation("imageLocation is required")
        if image_location and not _LOCATION.match(image_location):
            raise errors.InvalidParameterValue(f"Value ({image_location}) for parameter ImageLocation is invalid.")
        spec = ImageSpec(
            name=name or image_location or "",
            location=image_location,
            description=description,
            kernel=kernel_id,
            ramdisk=ramdisk_id,
            architecture=architecture,
            root_device_name=root_device_name,
            block_device_mapping=[blockdevices.recorded(blockdevices.device(entry)) for entry in block_device_mapping],
        )
        return {"imageId": _image_id(self.runtime.image.register(context, spec))}

    def deregister_image(self, context: RequestContext, image_id: str, **kwargs: object) -> dict[str, object]:
        """End an image.

        :raises ImageNotAuthorized: somebody else's image
        """
        self.runtime.image.deregister(context, image_id)
        return {"imageId": image_id, "return": True}

    def update_image(
        self,
        context: RequestContext,
        image_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        is_public: bool | None = None,
        properties: Mapping[str, str] | None = None,
        **kwargs: object,
    ) -> dict[str, object]:
        """Change name, description, publicity or properties of an image; the rest stays.

        :returns: the image record, as 2012.1 answered
        :raises ImageNotAuthorized: somebody else's image
        """
        image = self.runtime.image.update(
            context,
            image_id,
            name=name,
            description=description,
            is_public=is_public,
            properties=given_properties(properties or {}),
        )
        return record(image)

    def create_image(
        self,
        context: RequestContext,
        instance_id: str,
        *,
        name: str | None = None,
        description: str = "",
        no_reboot: bool = False,
        **kwargs: object,
    ) -> dict[str, object]:
        """Start making an image of an instance; it is ``available`` when the nodes are done.

        :raises InstanceNotFound: no such instance
        :raises IncorrectInstanceState: it is busy
        """
        number = ids.parse(instance_id, "i")
        if number is None:
            raise errors.InvalidInstanceIDMalformed(instance_id)
        image = self.runtime.instance_images.of_instance(
            context,
            number,
            instance_id,
            name=name or f"image of {instance_id}",
            description=description,
            no_reboot=no_reboot,
        )
        return {"imageId": _image_id(image)}


def _wanted_publicity(
    attribute: str | None,
    operation: str | None,
    groups: Sequence[str],
    users: Sequence[str],
    changes: Mapping[str, Any] | None,
) -> bool:
    """Whether a ModifyImageAttribute makes the image public; checks in the order of 2012.1."""
    if changes:
        added, removed = changes.get("add") or (), changes.get("remove") or ()
        operation = "add" if added else "remove"
        groups = [entry.get("group") or "" for entry in (*added, *removed)]
        if added and removed:
            raise errors.InvalidParameterCombination("LaunchPermission takes Add or Remove, not both.")
        attribute = attribute or "launchPermission"
    elif attribute is None and groups:
        attribute = "launchPermission"
    if attribute != "launchPermission":
        raise errors.UnsupportedOperation(f"attribute not supported: {attribute or ''}")
    if not groups and not users:
        raise errors.UnsupportedOperation("user or group not specified")
    if list(groups) != ["all"] or users:
        raise errors.UnsupportedOperation('only group "all" is supported')
    if operation not in ("add", "remove"):
        raise errors.UnsupportedOperation("operation_type must be add or remove")
    return operation == "add"


def _image_id(image: ImageRecord) -> str:
    return ids.image_id(image.number, image.container_format)


def _image(image: ImageRecord, dialect: Dialect) -> dict[str, object]:
    shown: dict[str, object] = {
        "imageId": _image_id(image),
        "imageLocation": image.location or image.name,
        "imageOwnerId": image.project_id,
        "imageState": image.state,
        "isPublic": image.is_public,
        "architecture": image.architecture,
        "imageType": _TYPE_NAMES[image.kind],
        "name": image.name or image.location,
        # 2012.1: Glance's description never reached the answer.
        "description": image.description if dialect.modern_elements else None,
        "rootDeviceName": image.root_device,
        "rootDeviceType": image.root_device_type,
    }
    if image.kernel_number is not None:
        shown["kernelId"] = ids.image_id(image.kernel_number, "aki")
    if image.ramdisk_number is not None:
        shown["ramdiskId"] = ids.image_id(image.ramdisk_number, "ari")
    devices = blockdevices.of_image(image)
    if devices:
        shown["blockDeviceMapping"] = devices
    return shown | dialect.added({"creationDate": image.created_at, "virtualizationType": "hvm", "hypervisor": "xen"})


_Shown = Callable[[ImageRecord, Dialect], dict[str, object]]


def _permission(image: ImageRecord, _dialect: Dialect) -> dict[str, object]:
    return {"launchPermission": [{"group": "all"}] if image.is_public else []}


def _device_attribute(image: ImageRecord, dialect: Dialect) -> dict[str, object]:
    devices = blockdevices.of_image(image)
    return {"blockDeviceMapping": devices} if devices or dialect.wrapped_attributes else {}


def _wrapped(value: object, dialect: Dialect) -> object:
    return {"value": value} if dialect.wrapped_attributes else value


def _kernel(image: ImageRecord, dialect: Dialect) -> dict[str, object]:
    number = image.kernel_number
    return {"kernel": _wrapped(ids.image_id(number, "aki"), dialect)} if number is not None else {}


def _ramdisk(image: ImageRecord, dialect: Dialect) -> dict[str, object]:
    number = image.ramdisk_number
    return {"ramdisk": _wrapped(ids.image_id(number, "ari"), dialect)} if number is not None else {}


_ATTRIBUTES: Mapping[str, _Shown] = {
    "launchPermission": _permission,
    "blockDeviceMapping": _device_attribute,
    "rootDeviceName": lambda image, dialect: {"rootDeviceName": _wrapped(image.root_device, dialect)},
}
#: 2012.1 knew only those above; today's SDKs ask for these too.
_MODERN_ATTRIBUTES: Mapping[str, _Shown] = {
    "kernel": _kernel,
    "ramdisk": _ramdisk,
    "description": lambda image, dialect: {"description": _wrapped(image.description, dialect)},
    "productCodes": lambda image, dialect: {"productCodes": []},
}
