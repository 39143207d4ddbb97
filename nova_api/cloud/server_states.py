"""The actions that extensions add to servers: when they may be done, and what the server is meanwhile.

(Spec openstack-extensions.md 3; the actions of the core are in :mod:`nova_api.cloud.server_actions`.)
"""

from nova_api.cloud.server_actions import ANY, ON_DISK, RUNNING, Action

_IDLE_OR_RESIZED = (None, "resize_verify")

PAUSE = Action(
    name="pause",
    policy="compute:pause",
    vm_states=RUNNING,
    task_states=_IDLE_OR_RESIZED,
    values={"vm_state": "active", "task_state": "pausing"},
    method="pause_instance",
)
UNPAUSE = Action(
    name="unpause",
    policy="compute:unpause",
    vm_states=("paused",),
    values={"task_state": "unpausing"},
    method="unpause_instance",
)
SUSPEND = Action(
    name="suspend",
    policy="compute:suspend",
    vm_states=RUNNING,
    task_states=_IDLE_OR_RESIZED,
    values={"vm_state": "active", "task_state": "suspending"},
    method="suspend_instance",
)
RESUME = Action(
    name="resume",
    policy="compute:resume",
    vm_states=("suspended",),
    values={"task_state": "resuming"},
    method="resume_instance",
)
RESET_NETWORK = Action(
    name="resetNetwork",
    policy="compute:reset_network",
    vm_states=None,
    task_states=ANY,
    method="reset_network",
)
INJECT_NETWORK_INFO = Action(
    name="injectNetworkInfo",
    policy="compute:inject_network_info",
    vm_states=None,
    task_states=ANY,
    method="inject_network_info",
)
#: In effect before the answer: a worker that is told later could not keep an owner's request out.
LOCK = Action(
    name="lock",
    policy="compute:lock",
    vm_states=None,
    task_states=ANY,
    values={"locked": True},
    anywhere=True,
)
UNLOCK = Action(
    name="unlock",
    policy="compute:unlock",
    vm_states=None,
    task_states=ANY,
    values={"locked": False},
    anywhere=True,
)
#: Not of 2012.1: what sets a server right whose node was lost in the middle of something.
RESET_STATE = {
    state: Action(
        name="os-resetState",
        policy="compute:reset_state",
        vm_states=None,
        task_states=ANY,
        values={"vm_state": state, "task_state": None},
        anywhere=True,
    )
    for state in ("active", "error")
}
BACKUP = Action(
    name="createBackup",
    policy="compute:backup",
    vm_states=ON_DISK,
    values={"task_state": "image_backup"},
)
START = Action(
    name="start",
    policy="compute:start",
    vm_states=("stopped", "shutoff"),
    values={"vm_state": "stopped", "task_state": "starting"},
    method="start_instance",
)
STOP = Action(
    name="stop",
    policy="compute:stop",
    vm_states=RUNNING,
    task_states=_IDLE_OR_RESIZED,
    values={"vm_state": "active", "task_state": "stopping", "progress": 0},
    method="stop_instance",
)
RESCUE = Action(
    name="rescue",
    policy="compute:rescue",
    vm_states=("active", "shutoff", "stopped"),
    task_states=_IDLE_OR_RESIZED,
    values={"vm_state": "active", "task_state": "rescuing"},
    method="rescue_instance",
)
UNRESCUE = Action(
    name="unrescue",
    policy="compute:unrescue",
    vm_states=("rescued",),
    values={"task_state": "unrescuing"},
    method="unrescue_instance",
)
RESTORE = Action(
    name="restore",
    policy="compute:restore",
    vm_states=("soft-delete",),
    # Its node may still be switching it off, and switches it on after that.
    task_states=(None, "powering-off"),
    values={"vm_state": "active", "deleted_at": None, "task_state": "powering-on"},
    method="power_on_instance",
)
FORCE_DELETE = Action(
    name="forceDelete",
    policy="compute:force_delete",
    vm_states=("soft-delete",),
    task_states=(None, "powering-off"),
    values={"task_state": "deleting", "progress": 0},
    method="terminate_instance",
)
