"""Messages between the API and the nodes: the envelope of 2012, two transports, an outbox that loses nothing.

``outbox`` sends what a transaction decided, ``client`` asks and waits, ``consumer`` answers. They speak
``envelope`` over a ``transport``: ``inprocess`` (nodes in this process) or ``amqp`` (RabbitMQ).
"""
