"""Run a QuestDB server here, ship the ledger to one, prove that all is there."""
