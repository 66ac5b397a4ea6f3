-- Says whether a call is announced on a repository.
SELECT EXISTS (SELECT FROM praefect.announcements AS a WHERE a.repository_id = @id)
