"""The other end of the messages: what does the work on hosts.

``service`` starts managers and keeps them reporting; ``scheduler``, ``compute``, ``network``, ``volume`` and
``cert`` are the managers, one per topic; ``drivers`` is where a hypervisor or a store is plugged in. Every
handler is idempotent: a message that comes twice, at whatever time, changes nothing the second time.
"""
