"""What a run is watched by beside the guards: how sure its forces are."""
