// Package cleaner looks through the disks of all storages for repositories that the metadata do not
// know, and tells of them.
//
// It removes nothing. Such a directory may be all that is left of something that somebody misses,
// or belong to a repository that is being created; an operator decides, with the help of the
// commands list-untracked-repositories and track-repository. So only directories that were not
// changed for some time are told of.
//
// Each storage is searched once an interval, by one proxy of the cluster: the store keeps when a
// search was begun, and by when its proxy has ended it or is gone.
package cleaner
