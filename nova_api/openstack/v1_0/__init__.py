"""The Compute API 1.0: integer ids, no links, documents of the hoster that it comes from (spec openstack-core.md 9).

2012.1 had dropped it. Its resources are controllers like those of 1.1, on the same services and the same base
(:mod:`nova_api.openstack.wsgi`); :mod:`.flavors` is the smallest. What is different stands here:

* documents in XML are templates in the namespace of 1.0: :func:`nova_api.openstack.v1_0.views.template`;
* faults have other names: whatever is raised finds them by itself (:func:`nova_api.openstack.faults.dialect_of`);
* a path names a project or does not: :mod:`.router` connects both;
* lists are paged by ``offset``: :func:`nova_api.openstack.paging.offset_page_of`;
* numbers arrive as texts in XML, and ids of either kind are taken: :mod:`.given`.
"""

from nova_api.openstack.v1_0.router import APIRouter, FaultWrapper

__all__ = ["APIRouter", "FaultWrapper"]
